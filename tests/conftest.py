"""What tests on real servers share: one stack a session, its chain, its tables."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from shared import bootstrap
from tools.chain import Chain
from tools.chain.json_cadence import address, amounts_by_address, array, boolean
from tools.chain.seed import seed_balances
from tools.chain.sources import read_cadence
from tools.stack import Stack, start_stack

pytest_plugins = ["tests.aws"]

CADENCE_FIXTURES = Path(__file__).parent / "cadence"
AMOUNT = "round({} * 100000000)::text"

Setting = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The large ledgers of tests/e2e come last: what fails fast should fail first."""
    items.sort(key=lambda item: "e2e" in item.path.parts)


def quiet(text: str) -> None:
    """Shows nothing."""


class AuditRow(NamedTuple):
    """A row of balance_audit_log; amounts are integers of 1e-8."""

    user_address: str
    operation_type: str
    amount: int
    balance_before: int
    balance_after: int
    transaction_hash: str


@dataclass(frozen=True)
class LedgerTables:
    """The ledger's tables as a superuser sees them, past the procedures and the API.

    Amounts are integers of 1e-8.
    """

    url: str

    def insert(self, units_by_address: Mapping[str, int]) -> None:
        """Adds rows, as an app would have."""
        statement = "copy public.user_balances (user_address, balance) from stdin"
        with psycopg.connect(self.url) as connection, connection.cursor().copy(statement) as copy:
            for user, units in units_by_address.items():
                copy.write_row((user, f"{units}e-8"))

    def balances(self) -> dict[str, int]:
        """The balance of every row by its key as it is stored."""
        query = f"select user_address, {AMOUNT.format('balance')} from public.user_balances"
        return {user: int(units) for user, units in self._fetch(query)}

    def audit(self) -> list[AuditRow]:
        """The audit log, oldest first."""
        amounts = ("amount", "balance_before", "balance_after")
        columns = ", ".join(AMOUNT.format(name) for name in amounts)
        rows = self._fetch(
            f"select user_address, operation_type, {columns}, transaction_hash"
            " from public.balance_audit_log order by id"
        )
        return [
            AuditRow(user, operation, int(amount), int(before), int(after), transaction_hash)
            for user, operation, amount, before, after, transaction_hash in rows
        ]

    def run(self, *statements: str) -> None:
        """Executes statements in one transaction."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def clean(self) -> None:
        """Empties the tables, the append-only one too."""
        self.run(
            "set local session_replication_role = replica",
            # Not truncate: PostgREST may be reading, and a table of this size is emptied as fast.
            "delete from public.user_balances",
            "delete from public.balance_audit_log",
            "delete from reconciliation.audit_heads",
            "delete from public.balance_events",
            "delete from public.reconciliation_holds",
            "delete from public.reconciliation_stored_reports",
            "delete from public.reconciliation_results",
            "delete from public.reconciliation_chunks",
            "delete from public.reconciliation_runs",
            "delete from public.reconciliation_script_budget",
            "delete from public.reconciliation_requests",
            "delete from public.reconciliation_request_slots",
            "delete from public.reconciliation_webhooks",
            "delete from public.reconciliation_holds",
            "delete from public.solvency_checks",
            "delete from public.reconciliation_alerts",
            "delete from public.reconciliation_alert_deliveries",
            "delete from public.reconciliation_watchdog",
            "delete from public.reconciliation_audit_round",
        )

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


@dataclass(frozen=True)
class Balances:
    """BalanceFixture in an account of its own: a contract that answers what a test wants."""

    chain: Chain

    @property
    def address(self) -> str:
        return self.chain.address

    def set(self, units_by_address: Mapping[str, int]) -> None:
        """Sets the balances of these users."""
        self._run("set_balances.cdc", amounts_by_address(units_by_address))

    def fail(self, users: Iterable[str]) -> None:
        """Lets the contract panic whenever one of these users is asked about."""
        self._run("set_failing.cdc", array(address(user) for user in users), boolean(True))

    def _run(self, name: str, *args: dict[str, Any]) -> None:
        code = read_cadence(CADENCE_FIXTURES / name, {"BalanceFixture": self.address})
        self.chain.send(code, args)


def new_address() -> str:
    """An address that no other test uses."""
    return f"0x{secrets.token_hex(8)}"


def new_addresses(count: int) -> list[str]:
    """Several of them, in the order of the ledger's keys."""
    return sorted(new_address() for _ in range(count))


@contextmanager
def settings_of(stack: Stack) -> Iterator[Setting]:
    """Lets the process's services run with a stack's settings, and closes what they opened.

    Yields a function that changes settings: `set_env(FLOW_TIMEOUT_S="1")`.
    """
    with pytest.MonkeyPatch.context() as patch:

        def set_env(**variables: str) -> None:
            for name, value in variables.items():
                patch.setenv(name, value)
            bootstrap.reset()

        set_env(**stack.env | {"RECONCILE_SETTLE_S": "0"})
        try:
            yield set_env
        finally:
            bootstrap.reset()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL, PostgREST and the emulator with OverflowGame. Restore what a test stops."""
    with start_stack(tmp_path_factory.mktemp("stack") / "state", progress=quiet) as stack:
        yield stack


@pytest.fixture(scope="session")
def database_url(stack: Stack) -> str:
    """A superuser's URL of the stack's database."""
    return stack.database_url


@pytest.fixture(scope="session")
def contract_address(stack: Stack) -> str:
    """Where OverflowGame is deployed."""
    return stack.env["FLOW_CONTRACT_ADDRESS"]


@pytest.fixture(scope="session")
def chain(stack: Stack) -> Iterator[Chain]:
    """Signs as the emulator's service account, which owns OverflowGame."""
    env = stack.env
    service = env["STACK_SERVICE_ADDRESS"], env["STACK_SERVICE_PRIVATE_KEY"]
    with Chain(stack.access_node, *service) as chain:
        yield chain


@pytest.fixture
def environment(stack: Stack) -> Iterator[Setting]:
    """The stack's settings for this process; call it to change some: `(NAME="value")`."""
    with settings_of(stack) as set_env:
        yield set_env


@pytest.fixture
def clean_ledger(stack: Stack) -> None:
    """Empties the ledger, its audit log, its events and its runs before the test."""
    LedgerTables(stack.database_url).clean()


@pytest.fixture
def ledger_rows(stack: Stack) -> LedgerTables:
    """The ledger, emptied: to insert rows and to read them past the API."""
    tables = LedgerTables(stack.database_url)
    tables.clean()
    return tables


@pytest.fixture
def contract_balances(chain: Chain, contract_address: str) -> Callable[[Mapping[str, int]], None]:
    """Gives users balances in OverflowGame, integers of 1e-8; they are added to what is there."""

    def give(units_by_address: Mapping[str, int]) -> None:
        assert chain.address == contract_address
        seed_balances(chain, units_by_address)

    return give


@pytest.fixture(scope="session")
def balance_fixture(chain: Chain) -> Iterator[Balances]:
    """BalanceFixture, deployed once a session."""
    account = chain.create_account()
    with Chain(chain.access_node, account.address, account.private_key_hex) as owner:
        owner.deploy_contract(
            "BalanceFixture", read_cadence(CADENCE_FIXTURES / "BalanceFixture.cdc")
        )
        yield Balances(owner)


@pytest.fixture
def on_balance_fixture(environment: Setting, balance_fixture: Balances) -> Balances:
    """The services ask BalanceFixture instead of OverflowGame."""
    environment(FLOW_CONTRACT_NAME="BalanceFixture", FLOW_CONTRACT_ADDRESS=balance_fixture.address)
    return balance_fixture
