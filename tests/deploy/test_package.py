"""The zip that `make package` makes for Lambda."""

import zipfile
from pathlib import Path

import pytest

from tests.conftest import quiet
from tools import package
from tools.package import UNZIPPED_BYTES_MAX, PackageError, build, lambda_target

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("package") / "functions.zip"
    size = build(output, lambda_target(), quiet)
    with zipfile.ZipFile(output) as archive:
        assert size == sum(each.file_size for each in archive.infolist()) < UNZIPPED_BYTES_MAX
    return output


@pytest.fixture(scope="module")
def names(built: Path) -> set[str]:
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_compiled_modules_are_for_lambdas_python(names: set[str]) -> None:
    compiled = {name for name in names if ".cpython-" in name}
    assert compiled
    assert all("cpython-312-x86_64-linux-gnu" in name for name in compiled)


def test_our_code_is_in_it_but_for_the_command(names: set[str]) -> None:
    ours = {
        path.relative_to(ROOT).as_posix()
        for folder in ("functions", "shared")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name for name in ours if name not in names} == {
        name for name in ours if name.startswith("shared/cli/")
    }
    assert "cadence/scripts/get_user_balances.cdc" in names
    assert "shared/alerts/alert_body.txt.j2" in names


def test_nothing_else_of_the_checkout_is_in_it(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert tops.isdisjoint({"tests", "tools", "docs", "deploy", "requirements.txt"})
    assert {name for name in names if name.startswith("supabase/") and name.endswith(".sql")} == (
        set()
    )
    assert not [name for name in names if "/.env" in name or name.startswith(".")]


@pytest.mark.parametrize(
    "left_out",
    ["grpc", "grpc_tools", "black", "isort", "setuptools", "rich", "uvicorn", "gunicorn"],
)
def test_what_nothing_imports_is_left_out(left_out: str, names: set[str]) -> None:
    assert not [name for name in names if name.startswith(f"{left_out}/")]


def test_nothing_is_in_it_that_only_builders_and_checkers_read(names: set[str]) -> None:
    assert not [name for name in names if name.endswith((".pyc", ".pyi", ".pth", "/RECORD"))]
    assert not [name for name in names if "/tests/" in name]


def test_the_same_sources_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    build(again, lambda_target(), quiet)
    assert again.read_bytes() == built.read_bytes()


def test_a_package_that_lambda_would_refuse_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "UNZIPPED_BYTES_MAX", 1_000_000)
    with pytest.raises(PackageError, match="1,000,000"):
        build(tmp_path / "too_large.zip", lambda_target(), quiet)
    assert list(tmp_path.iterdir()) == []
