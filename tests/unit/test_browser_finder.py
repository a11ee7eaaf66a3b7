"""Where the tests' browser comes from: PATH, else apt-get as root, else a remedy."""

import os
from pathlib import Path

import pytest

from tools.browser import BrowserMissing, find_browser

APT_GET = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in *{failing}*) echo "E: no network" >&2; exit 100;; esac
case "$*" in *install*) echo '#!/bin/sh' > {folder}/chromium; /bin/chmod +x {folder}/*;; esac
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def program(file: Path, text: str = "#!/bin/sh\n") -> Path:
    file.write_text(text)
    file.chmod(0o755)
    return file


def ignore(text: str) -> None:
    pass


def test_a_browser_on_path_is_used(path: Path) -> None:
    wanted = program(path / "google-chrome")
    program(path / "apt-get", "#!/bin/sh\nexit 1\n")
    assert find_browser(ignore) == wanted


def test_root_installs_debians(path: Path) -> None:
    program(path / "apt-get", APT_GET.format(folder=path, failing="nothing"))
    said: list[str] = []
    assert find_browser(said.append) == path / "chromium"
    assert [line.split()[3] for line in (path / "asked").read_text().splitlines()] == [
        "update",
        "install",
    ]
    assert said[0] == "Installing Chromium with apt-get: once, about a minute"
    assert find_browser(ignore) == path / "chromium"  # and asks apt-get no more
    assert len((path / "asked").read_text().splitlines()) == 2


def test_what_apt_get_says_is_told(path: Path) -> None:
    program(path / "apt-get", APT_GET.format(folder=path, failing="update"))
    with pytest.raises(BrowserMissing, match=r"(?s)apt-get update failed:\nE: no network\nInstall"):
        find_browser(ignore)


def test_who_is_not_root_is_told_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path / "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BrowserMissing, match="Install Chromium or Chrome"):
        find_browser(ignore)
