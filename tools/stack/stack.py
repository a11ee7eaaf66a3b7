"""Starts PostgreSQL, PostgREST and the Flow emulator together, and ends them together."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.stack.emulator import SERVICE_ADDRESS, Emulator
from tools.stack.emulator_binary import find_emulator
from tools.stack.env_file import write_env_file
from tools.stack.errors import StackError
from tools.stack.folder import StateFolder
from tools.stack.guard import Guard
from tools.stack.node_tools import find_postgrest
from tools.stack.postgres import SUPERUSER, Postgres
from tools.stack.postgres_binaries import find_postgres
from tools.stack.postgrest import Postgrest
from tools.stack.progress import Progress
from tools.stack.server import Server

CONTRACT_NAME = "OverflowGame"


class Stack:
    """A running stack. Each server can be stopped, paused and started again on its port."""

    def __init__(self, folder: StateFolder, progress: Progress, guard: Guard | None) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self._progress = progress
        self._guard = guard
        self.emulator = Emulator(folder, progress, find_emulator(progress))
        self.postgres = Postgres(folder, progress, find_postgres())
        self._postgrest: Postgrest | None = None
        self._postgrest_binary = find_postgrest(progress)

    @property
    def postgrest(self) -> Postgrest:
        """PostgREST; there once the stack is up."""
        assert self._postgrest is not None, "PostgREST starts after PostgreSQL"
        return self._postgrest

    @property
    def servers(self) -> list[Server]:
        """The three servers."""
        return [self.postgres, self.postgrest, self.emulator]

    @property
    def database_url(self) -> str:
        """A psycopg URL of the cluster's superuser."""
        return self.postgres.url(SUPERUSER)

    @property
    def rest_url(self) -> str:
        """PostgREST's base URL."""
        return self.postgrest.url

    @property
    def access_node(self) -> str:
        """`host:port` of the Access API's gRPC."""
        return self.emulator.access_node

    @property
    def env_file(self) -> Path:
        """A file with the contents of `env`, for RECONCILE_ENV_FILE."""
        return self.folder.env_file

    def deploy_contract(self) -> str:
        """Deploys OverflowGame and returns its address; again after the emulator was stopped."""
        # Imported here: the SDK takes more than a second, in which the emulator starts.
        from tools.chain.deploy import deploy_overflow_game
        from tools.chain.errors import ChainError

        key = self.emulator.private_key
        try:
            address = deploy_overflow_game(self.access_node, SERVICE_ADDRESS, key)
        except ChainError as error:
            raise StackError(f"{CONTRACT_NAME} could not be deployed: {error}") from error
        self._progress(f"{CONTRACT_NAME} is deployed at {address}")
        return address

    def stop(self) -> None:
        """Ends the servers and removes all they wrote; may be called again."""
        if self._guard:
            self._guard.dismiss()
            self._guard = None
        with self.folder.locked(self._progress):
            self._end()

    def _end(self) -> None:
        for server in (self._postgrest, self.postgres, self.emulator):
            if server is not None:
                server.stop()
        self.folder.clean_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts everything; on any failure ends what was started. Hold the folder's lock."""
        pool = ThreadPoolExecutor(max_workers=2)
        try:
            chain = pool.submit(self._start_chain)
            database = pool.submit(self._start_database)
            database.result()
            self.env = self._environment(chain.result())
            write_env_file(self.env_file, self.env)
            self.folder.record_ready({server.name: server.port for server in self.servers})
        except BaseException:
            # Ends the servers that the threads wait for, then what a thread started meanwhile.
            self.folder.clean_up()
            pool.shutdown(cancel_futures=True)
            self._end()
            raise
        pool.shutdown()

    def _start_chain(self) -> str:
        self.emulator.start()
        return self.deploy_contract()

    def _start_database(self) -> None:
        self.postgres.create()
        self.postgres.start()
        count = self.postgres.prepare()
        self._progress(f"{count} migrations are applied")
        self._postgrest = Postgrest(
            self.folder,
            self._progress,
            self._postgrest_binary,
            database_url=self.postgres.url("authenticator"),
            jwt_secret=secrets.token_hex(32),
        )
        self._postgrest.start()

    def _environment(self, contract_address: str) -> dict[str, str]:
        return {
            "SUPABASE_URL": self.rest_url,
            "SUPABASE_REST_URL": self.rest_url,
            "SUPABASE_SERVICE_ROLE_KEY": self.postgrest.token("service_role"),
            "FLOW_ACCESS_NODE": self.access_node,
            "FLOW_CONTRACT_ADDRESS": contract_address,
            "FLOW_CONTRACT_NAME": CONTRACT_NAME,
            # The emulator has no rate limit, and nothing but the tools writes to this ledger.
            "FLOW_MAX_SCRIPTS_PER_S": "0",
            "RECONCILE_SETTLE_S": "0",
            "STACK_DATABASE_URL": self.database_url,
            "STACK_SERVICE_ADDRESS": SERVICE_ADDRESS,
            "STACK_SERVICE_PRIVATE_KEY": self.emulator.private_key,
        }


def start_stack(state_dir: Path, *, progress: Callable[[str], None]) -> Stack:
    """Starts a stack whose files are in `state_dir`: a new folder, or one that a killed start left.

    It ends with stop(), at the end of a `with`, or with the calling process, however that ends.
    Raises StackError if a stack runs there, or if a server could not be installed or started.
    """
    folder = StateFolder(state_dir)
    with folder.locked(progress):
        if folder.running():
            raise StackError(
                f"A stack is running in {folder.path}. Stop it, or name another folder."
            )
        return start_in(folder, progress, guarded=True)


def start_in(folder: StateFolder, progress: Progress, *, guarded: bool) -> Stack:
    """Removes leftovers and starts a stack; unguarded it outlives this process. Hold the lock."""
    folder.clean_up()
    folder.create()
    guard = Guard(folder) if guarded else None
    try:
        stack = Stack(folder, progress, guard)
        stack.start()
    except BaseException:
        if guard:
            guard.dismiss()
        folder.clean_up()
        raise
    return stack
