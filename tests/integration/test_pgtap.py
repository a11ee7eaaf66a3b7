"""The pgTAP files of supabase/tests, one case each, on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tools.pgtap import Pgtap, parse_tap, pgtap, pgtap_files, scratch_database
from tools.stack.migrations import apply_migrations, apply_roles


@pytest.fixture(scope="module")
def runner(database_url: str) -> Iterator[Pgtap]:
    with pgtap(database_url) as runner:
        yield runner


@pytest.mark.parametrize("file", pgtap_files(), ids=lambda file: file.stem)
def test_pgtap_file(runner: Pgtap, file: Path) -> None:
    result = runner.run(file)

    assert result.passed, "\n".join(result.faults)


def test_there_are_pgtap_files() -> None:
    assert len(pgtap_files()) >= 10


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["1..1", "not ok 1 - sum", "# have: 1"], "not ok 1 - sum\n# have: 1"),
        (["1..2", "ok 1 - sum"], "1 tests ran, 2 were planned"),
        (["ok 1 - sum"], "1 tests ran, 0 were planned"),
        ([], "0 tests ran, 0 were planned"),
    ],
)
def test_a_failed_or_missing_result_is_a_fault(lines: list[str], fault: str) -> None:
    assert parse_tap(lines).faults == (fault,)


def test_an_sql_error_is_a_fault_with_its_line(runner: Pgtap, tmp_path: Path) -> None:
    file = tmp_path / "broken.sql"
    file.write_text("select plan(1);\nselect no_such_function();\n")

    (fault,) = runner.run(file).faults

    assert fault.startswith("broken.sql:2: SQLSTATE 42883")


def test_a_table_without_row_security_is_closed_with_a_warning(database_url: str) -> None:
    warnings: list[str] = []
    with scratch_database(database_url) as url:
        apply_roles(url)
        owner = make_conninfo(url, options="-c role=postgres")
        with psycopg.connect(owner) as app:
            app.execute(
                "create table user_balances (user_address text primary key, balance numeric)"
            )

        apply_migrations(owner, warnings.append)

    assert warnings == [
        "PostgreSQL warns: public.user_balances had no row level security: it is on now"
    ]
