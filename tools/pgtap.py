"""Runs the pgTAP files of supabase/tests, each in a database of its own.

A template database gets the roles, the migrations and pgTAP once; every file runs in a copy of it,
so no file can leak into another. The copies also hold what a test needs to start from another
database than ours, in schema `tap`: `tap.migrate()` applies the migrations again and `tap.seed()`
loads supabase/seed.sql, both as the role that calls.

Usage: python -m tools.pgtap [URL [FILE ...]]
URL is a superuser's, by default STACK_DATABASE_URL.
"""

import os
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tools.stack import find_pgtap_sql
from tools.stack.migrations import MIGRATIONS, apply_migrations, apply_roles

TESTS = MIGRATIONS.parent / "tests"
SEED = MIGRATIONS.parent / "seed.sql"

_PLAN = re.compile(r"^1\.\.(\d+)")
_RESULT = re.compile(r"^(not )?ok \d+")

# pgTAP quotes the failing statement, which may be a whole migration.
_DIAGNOSTIC_LINES_MAX = 12

_HELPERS = """
create table tap.migrations (name text primary key, body text not null);
create table tap.seeds (body text not null);
create function tap.migrate() returns void language plpgsql as $$
declare
    v_body text;
begin
    for v_body in select body from tap.migrations order by name loop
        execute v_body;
    end loop;
end;
$$;
create function tap.seed() returns void language plpgsql as $$
begin
    execute (select body from tap.seeds);
end;
$$;
grant usage on schema tap to public;
grant select on tap.migrations, tap.seeds to public;
"""


@dataclass(frozen=True)
class TapResult:
    """What one file reported.

    planned and run count tests; faults holds the `not ok` lines with their diagnostics, and what
    else keeps the file from passing: an SQL error, or another number of tests than planned.
    """

    planned: int
    run: int
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.faults


class Pgtap:
    """A template database made for pgTAP, and the means to run files in copies of it."""

    def __init__(self, superuser_url: str, template: str) -> None:
        self._url = superuser_url
        self._template = template

    def run(self, file: Path) -> TapResult:
        """Runs one file in a new copy of the template, which is dropped afterwards."""
        with (
            scratch_database(self._url, self._template) as url,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            # The owner of a template is not the owner of its copies.
            owned = sql.SQL("alter database {} owner to postgres")
            connection.execute(owned.format(sql.Identifier(connection.info.dbname)))
            try:
                return parse_tap(_text_lines(connection, file.read_bytes()))
            except psycopg.Error as error:
                return TapResult(0, 0, (_describe(error, file),))


@contextmanager
def pgtap(superuser_url: str) -> Iterator[Pgtap]:
    """Makes the template database on the URL's server, and drops it in the end.

    Raises StackError if a migration fails, psycopg.Error if the server cannot be reached.
    """
    with migrated_database(superuser_url) as url:
        with psycopg.connect(url) as connection:
            _load_pgtap(connection)
            template = connection.info.dbname
        yield Pgtap(superuser_url, template)


def parse_tap(lines: Sequence[str]) -> TapResult:
    """Reads TAP. A `# ` line belongs to the result above it."""
    planned, run = 0, 0
    faults: list[str] = []
    in_fault = False
    for line in lines:
        if plan := _PLAN.match(line):
            planned = int(plan[1])
        elif result := _RESULT.match(line):
            run += 1
            in_fault = bool(result[1])
            if in_fault:
                faults.append(line)
        elif in_fault and line.startswith("#") and faults[-1].count("\n") < _DIAGNOSTIC_LINES_MAX:
            faults[-1] += "\n" + line
    if run != planned or planned == 0:
        faults.append(f"{run} tests ran, {planned} were planned")
    return TapResult(planned, run, tuple(faults))


def pgtap_files(folder: Path = TESTS) -> list[Path]:
    """The pgTAP files in the order of their numbers."""
    return sorted(folder.glob("*.sql"))


@contextmanager
def scratch_database(superuser_url: str, template: str = "template0") -> Iterator[str]:
    """Makes a copy of the database `template`; yields its superuser URL, drops it in the end."""
    name = f"pgtap_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(superuser_url, autocommit=True) as server:
        server.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield make_conninfo(superuser_url, dbname=name)
        finally:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def migrated_database(superuser_url: str) -> Iterator[str]:
    """Makes a database with roles and migrations; yields its superuser URL, drops it in the end.

    Raises StackError if a migration fails.
    """
    with scratch_database(superuser_url) as url:
        apply_roles(url)
        apply_migrations(make_conninfo(url, options="-c role=postgres"), _ignore)
        yield url


def _load_pgtap(connection: psycopg.Connection) -> None:
    """Loads pgTAP and the helpers into schema `tap`, which is on the search path of every copy."""
    connection.execute("create schema tap")
    connection.execute("set local search_path = tap, public")
    connection.execute(find_pgtap_sql(_ignore).read_bytes())
    connection.execute(_HELPERS.encode())
    for migration in sorted(MIGRATIONS.glob("*.sql")):
        connection.execute(
            "insert into tap.migrations values (%s, %s)", (migration.name, migration.read_text())
        )
    connection.execute("insert into tap.seeds values (%s)", (SEED.read_text(),))


def _text_lines(connection: psycopg.Connection, script: bytes) -> list[str]:
    """Runs a script and returns every line of the text that its queries answered, in order."""
    lines: list[str] = []
    connection.execute("set search_path = public, tap")
    cursor = connection.execute(script)
    while True:
        if cursor.description is not None:
            for row in cursor:
                lines.extend(
                    line for cell in row if isinstance(cell, str) for line in cell.splitlines()
                )
        if not cursor.nextset():
            return lines


def _describe(error: psycopg.Error, file: Path) -> str:
    position = error.diag.statement_position
    line = file.read_text()[: int(position)].count("\n") + 1 if position else "?"
    context = f"\n{error.diag.context}" if error.diag.context else ""
    return f"{file.name}:{line}: SQLSTATE {error.sqlstate}: {error}{context}"


def _ignore(_text: str) -> None:
    """Progress is not shown, and the migrations' warnings belong to their own tests."""


def main(arguments: Sequence[str]) -> int:
    """Runs the files named, or all; prints each with its faults. Returns 1 if one failed."""
    url = arguments[0] if arguments else os.environ.get("STACK_DATABASE_URL", "")
    if not url:
        print(
            "usage: python -m tools.pgtap [URL [FILE ...]], or set STACK_DATABASE_URL",
            file=sys.stderr,
        )
        return 2
    failed = False
    with pgtap(url) as runner:
        for file in [Path(name) for name in arguments[1:]] or pgtap_files():
            result = runner.run(file)
            print(f"{'ok    ' if result.passed else 'FAILED'} {file.name}: {result.run} tests")
            for fault in result.faults:
                print(fault)
            failed = failed or not result.passed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
