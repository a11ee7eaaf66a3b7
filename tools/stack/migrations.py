"""Applies roles.sql and the migrations to a new database."""

from pathlib import Path

import psycopg
from psycopg.errors import Diagnostic

from tools.stack.errors import StackError
from tools.stack.progress import Progress

ROLES_SQL = Path(__file__).with_name("roles.sql")
MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"


def apply_roles(superuser_url: str) -> None:
    """Makes Supabase's roles and default privileges in the URL's database. Raises StackError."""
    with psycopg.connect(superuser_url) as connection:
        _run_file(connection, ROLES_SQL)


def apply_migrations(owner_url: str, progress: Progress, folder: Path = MIGRATIONS) -> int:
    """Applies the `*.sql` of `folder` by name, each in one transaction; returns how many.

    Raises StackError naming the file and what PostgreSQL said; what earlier files did stays.
    """
    files = sorted(folder.glob("*.sql"))
    with psycopg.connect(owner_url) as connection:
        connection.add_notice_handler(lambda notice: _show_warning(notice, progress))
        for file in files:
            _run_file(connection, file)
    return len(files)


def _run_file(connection: psycopg.Connection, file: Path) -> None:
    try:
        # Bytes and no parameters: taken as they are, with many statements and any `%`.
        connection.execute(file.read_bytes())
        connection.commit()
    except psycopg.Error as error:
        diagnostic = error.diag
        hint = f"\nHint: {diagnostic.message_hint}" if diagnostic.message_hint else ""
        raise StackError(f"{file.name} failed: {error}{hint}") from error


def _show_warning(notice: Diagnostic, progress: Progress) -> None:
    if notice.severity_nonlocalized == "WARNING":
        progress(f"PostgreSQL warns: {notice.message_primary}")
