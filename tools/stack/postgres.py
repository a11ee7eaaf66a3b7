"""PostgreSQL on a loopback port, with the roles and migrations of the project."""

import os
import pwd
import secrets
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from tools.stack.errors import StackError
from tools.stack.folder import StateFolder
from tools.stack.migrations import apply_migrations, apply_roles
from tools.stack.ports import LOOPBACK
from tools.stack.postgres_binaries import copy_for_other_user
from tools.stack.progress import Progress
from tools.stack.server import Server, write_secret

SUPERUSER = "supabase_admin"
_DATABASE = "postgres"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # No sockets: a path may have only about 100 characters, and a checkout's is often longer.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    # Faster; a crash of the machine may then lose the data, which is thrown away anyhow.
    "fsync": "off",
    "full_page_writes": "off",
}


class Postgres(Server):
    """The database server; `prepare()` fills it once, `start()` and `stop()` keep its data."""

    name = "PostgreSQL"

    def __init__(self, folder: StateFolder, progress: Progress, binaries: Path) -> None:
        super().__init__(folder, progress)
        self._binaries = binaries
        # Anybody on the machine can reach a loopback port, and a superuser can run programs.
        self._passwords = {
            role: secrets.token_hex(16) for role in (SUPERUSER, "postgres", "authenticator")
        }

    def url(self, role: str) -> str:
        """A psycopg URL for `supabase_admin` (superuser), `postgres` (owner) or `authenticator`."""
        return f"postgresql://{role}:{self._passwords[role]}@{LOOPBACK}:{self.port}/{_DATABASE}"

    def create(self) -> None:
        """Makes an empty database cluster. Raises StackError."""
        if self.folder.nobody_folder:
            self._become_nobody(self.folder.nobody_folder)
        password_file = self.folder.postgres_home / "postgres-password"
        write_secret(password_file, self._passwords[SUPERUSER], self.user)
        self.folder.data.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(self.folder.data, self.user, self.user)
        self._initdb(password_file)
        password_file.unlink()

    def _initdb(self, password_file: Path) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self.folder.data), "-U", SUPERUSER]
        access = ["--auth=scram-sha-256", f"--pwfile={password_file}"]
        text = ["--encoding=UTF8", "--locale=C"]
        done = self._run_as_user([*command, *access, *text, "--no-sync", "--no-instructions"])
        if done.returncode != 0:
            raise StackError(f"initdb failed:\n{done.stderr}")

    def prepare(self) -> int:
        """Makes the roles and applies the migrations; returns how many files. Raises StackError."""
        apply_roles(self.url(SUPERUSER))
        with psycopg.connect(self.url(SUPERUSER)) as connection:
            for role in ("postgres", "authenticator"):
                statement = sql.SQL("alter role {} password {}")
                connection.execute(statement.format(sql.Identifier(role), self._passwords[role]))
        return apply_migrations(self.url("postgres"), self._progress)

    def command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        return [
            str(self._binaries / "postgres"),
            "-D",
            str(self.folder.data),
            f"--port={self.port}",
            *settings,
        ]

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.url(SUPERUSER), connect_timeout=5) as connection:
                return connection.execute("select 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _become_nobody(self, home: Path) -> None:
        self.user = pwd.getpwnam("nobody").pw_uid
        try:
            runs = self._run_as_user([str(self._binaries / "postgres"), "--version"])
        except PermissionError:
            runs = None
        if runs is None or runs.returncode != 0:
            self._binaries = copy_for_other_user(self._binaries, home / "programs")

    def _run_as_user(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd="/",
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )
