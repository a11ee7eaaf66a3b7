"""`python -m tools.package [--output FILE]`: the zip that all functions are deployed from.

The functions, what they share, the Cadence scripts, and the run-time dependencies of
requirements.txt for Lambda's Python. The same sources give the same bytes.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.stack.cache import install_once
from tools.stack.errors import StackError
from tools.stack.progress import Progress, stderr_progress

UNZIPPED_BYTES_MAX = 250 * 1024 * 1024
"""Lambda's limit, layers included."""
DEFAULT_OUTPUT = Path("dist/functions.zip")

_ROOT = Path(__file__).parents[1]
_SOURCES = (
    "functions/*.py",
    "shared/**/*.py",
    "shared/dashboard/static/*",
    "shared/dashboard/templates/*.html",
    "shared/alerts/*.j2",
    "cadence/scripts/*.cdc",
)
_NOT_DEPLOYED = ("shared/cli",)

_NEVER_IMPORTED = frozenset(
    {
        # flow-py-sdk requires what its code generator and formatter need.
        *("grpcio-tools", "grpcio", "protobuf", "setuptools", "black", "isort"),
        *("mypy-extensions", "pathspec", "platformdirs", "pytokens"),
        # functions-framework's servers; Lambda brings its own.
        *("gunicorn", "uvicorn", "uvicorn-worker", "starlette", "watchdog"),
        # cffi's parser, for builds.
        "pycparser",
        # The command's tables.
        *("rich", "markdown-it-py", "mdurl", "pygments"),
    }
)
"""Requirements that no function imports. The deploy test runs all functions without them."""
_AWS_SERVICES = frozenset({"s3", "sns", "sqs", "ssm"})
"""What botocore needs to know; it brings the descriptions of 400 services."""
_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "bin", "tests", "testing"})
_LEFT_OUT_SUFFIXES = frozenset({".pyi", ".pyc", ".typed", ".pth", ".h", ".c", ".pyx", ".pxd"})
_KEPT_METADATA = frozenset({"METADATA"})
"""Packages ask for their own versions by it."""

_REQUIREMENT = re.compile(r"([a-z0-9][a-z0-9._-]*)==")
_PINNED = re.compile(r"^[a-z0-9].*(?:\n[ \t].*)*", re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can name."""
_READABLE = 0o100644 << 16


class PackageError(Exception):
    """The package could not be made; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """An interpreter that the packages are for. `pip` are the options that choose its wheels."""

    name: str
    pip: tuple[str, ...]


def lambda_target() -> Target:
    """Lambda's: the runtime and the architecture of serverless.yml, Amazon Linux 2023."""
    tags = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
    platforms = [option for tag in tags for option in ("--platform", f"{tag}_x86_64")]
    return Target("cp312-lambda", ("--python-version", "3.12", *platforms))


def own_target() -> Target:
    """The interpreter that runs this: for tests of the package."""
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return Target(f"{version}-{sysconfig.get_platform()}", ())


def build(output: Path, target: Target, progress: Progress) -> int:
    """Write the zip; returns its size when unzipped, in bytes. Raises PackageError."""
    entries = dict(_dependencies(_installed(target, progress)))
    entries |= {path.relative_to(_ROOT).as_posix(): path for path in _sources()}
    size = sum(path.stat().st_size for path in entries.values())
    if size > UNZIPPED_BYTES_MAX:
        raise PackageError(
            f"The package has {size:,} bytes unzipped and Lambda takes {UNZIPPED_BYTES_MAX:,}."
            " Leave something out."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    _write(output, entries)
    return size


def _write(output: Path, entries: dict[str, Path]) -> None:
    partial = output.with_name(f"{output.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = _READABLE
            archive.writestr(info, entries[name].read_bytes())
    partial.replace(output)


def _sources() -> Iterator[Path]:
    for pattern in _SOURCES:
        for path in _ROOT.glob(pattern):
            if not path.relative_to(_ROOT).as_posix().startswith(_NOT_DEPLOYED):
                yield path


def _dependencies(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and _is_needed(relative):
            yield relative.as_posix(), path


def _is_needed(path: Path) -> bool:
    top, *rest = path.parts
    if top.endswith(".dist-info"):
        return path.name in _KEPT_METADATA
    if top in ("botocore", "boto3") and rest[0] == "data":
        return len(rest) == 2 or rest[1] in _AWS_SERVICES
    return path.suffix not in _LEFT_OUT_SUFFIXES and _LEFT_OUT_FOLDERS.isdisjoint(path.parts)


def _installed(target: Target, progress: Progress) -> Path:
    requirements = _run_time_requirements((_ROOT / "requirements.txt").read_text())
    pinned = hashlib.sha256(requirements.encode()).hexdigest()[:12]

    def fill(folder: Path) -> None:
        progress(f"Installing the run-time dependencies for {target.name} (once, under a minute)")
        _pip_install(folder, requirements, target)

    return install_once(f"functions-{pinned}-{target.name}", fill, progress)


def _run_time_requirements(text: str) -> str:
    """The lock file's requirements with their hashes, without those that nobody imports."""
    kept: Iterable[str] = (
        block for block in _PINNED.findall(text) if _name(block) not in _NEVER_IMPORTED
    )
    return "\n".join(kept) + "\n"


def _name(requirement: str) -> str:
    found = _REQUIREMENT.match(requirement)
    assert found is not None, "the lock file pins every requirement"
    return found[1]


def _pip_install(folder: Path, requirements: str, target: Target) -> None:
    wanted = folder / "requirements.txt"
    wanted.write_text(requirements)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(folder), "--require-hashes", "--no-deps", "--no-compile"]
    command += ["--only-binary", ":all:", *target.pip, "-r", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    wanted.unlink()
    if done.returncode != 0:
        raise PackageError(
            "pip could not install the run-time dependencies for"
            f" {target.name}; check the connection to the registry:\n{done.stderr[-2000:]}"
        )


def main() -> int:
    """Builds for Lambda. Returns 0, or 1 when it cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m tools.package", description=__doc__)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help=str(DEFAULT_OUTPUT))
    output: Path = parser.parse_args().output
    try:
        size = build(output, lambda_target(), stderr_progress())
    except (PackageError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    zipped = output.stat().st_size
    print(f"{output}: {zipped / 1e6:.1f} MB, {size / 1e6:.1f} MB unzipped, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
