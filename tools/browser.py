"""The browser that the dashboard's tests look through: Chromium on PATH, else Debian's package.

`python -m tools.browser` says which one it is, and installs it before if need be.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.stack.cache import cache_root, locked
from tools.stack.progress import Progress, heartbeat, stderr_progress

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # a container's is small
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""What it is started with: nothing but the pages that it is sent to is fetched."""

_LOCK_WAIT_S = 600
_REMEDY = "Install Chromium or Chrome, see that `chromium` is on PATH, and try again."


class BrowserMissing(Exception):
    """There is no browser, and none could be installed. The text names the remedy."""


def find_browser(progress: Progress) -> Path:
    """Path of a browser; installs Debian's first if there is none. Raises BrowserMissing."""
    found = _on_path()
    if found is None:
        folder = cache_root()
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".chromium.lock", "Chromium is being installed elsewhere", progress):
            found = _on_path() or _installed(progress)
    return found


def _on_path() -> Path | None:
    paths = (shutil.which(name) for name in NAMES)
    return next((Path(path) for path in paths if path), None)


def _installed(progress: Progress) -> Path:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise BrowserMissing(
            "The dashboard's tests need a browser, and there is none on PATH"
            f" ({', '.join(NAMES)}). {_REMEDY}"
        )
    progress("Installing Chromium with apt-get: once, about a minute")
    began = time.monotonic()
    with heartbeat(progress, "Still installing Chromium"):
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", "chromium")
    found = _on_path()
    if found is None:
        raise BrowserMissing(f"apt-get has installed chromium, and it is not on PATH. {_REMEDY}")
    progress(f"Installed Chromium in {time.monotonic() - began:.0f} s")
    return found


def _apt_get(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={_LOCK_WAIT_S}", *arguments],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise BrowserMissing(
            f"The dashboard's tests need a browser, and apt-get {arguments[0]} failed:\n"
            f"{(done.stderr or done.stdout)[-2000:].rstrip()}\n{_REMEDY}"
        )


def main() -> int:
    """Says where the browser is. Returns 1 if there is none."""
    try:
        path = find_browser(stderr_progress())
        print(f"{path}: {_version(path)}")
    except BrowserMissing as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _version(path: Path) -> str:
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
