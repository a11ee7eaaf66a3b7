"""`reconcile solvency` over a real checker and a fake ledger, vault and alerter."""

import json
from types import SimpleNamespace
from typing import cast

import pytest

from shared.cli.main import main
from shared.cli.services import Services
from shared.core.amount import SMALLEST, FlowAmount
from shared.core.errors import ContractFunctionMissing, LedgerUnreachable
from shared.core.solvency import LedgerTotals
from shared.services.retry import Backoff
from shared.services.solvency import SolvencyChecker
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_solvency import FakeAlerter, FakeSolvencyStore, FakeVault

FLOW = 10**8


class World:
    def __init__(self) -> None:
        clock = FakeClock()
        self.store = FakeSolvencyStore(clock)
        self.vault = FakeVault()
        self.store.hold(100 * FLOW)
        self.vault.set(100 * FLOW)
        solvency = SolvencyChecker(
            self.store,
            self.vault,
            self.vault,
            clock,
            FakeAlerter(),
            tolerance=SMALLEST,
            settle_s=30,
            backoff=Backoff(attempts_max=1),
        )
        self.services = cast(Services, SimpleNamespace(solvency=solvency))

    def run(self, *argv: str) -> int:
        return main(["solvency", *argv], self.services)


@pytest.fixture
def world() -> World:
    return World()


def fields(text: str) -> dict[str, str]:
    pairs = (line.strip().split("  ", 1) for line in text.splitlines()[1:])
    return {name.strip(): value.strip() for name, value in pairs}


def test_a_solvent_ledger_is_said_to_be_with_its_sums(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.run("--admin", "alice") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "Solvent: the ledger, the vault and the contract agree."
    assert fields(shown.out) == {
        "Ledger": "100.00000000 FLOW of 1 user",
        "Vault": "100.00000000 FLOW",
        "Contract": "100.00000000 FLOW",
        "Vault - ledger": "0.00000000 FLOW",
        "Contract - ledger": "0.00000000 FLOW",
        "Height": "101",
        "Since": "2026-01-02 03:04:05 UTC",
        "Check": f"{world.store.checks[0].check_id}, 2026-01-02 03:04:05 UTC by alice",
    }
    assert not shown.err


def test_a_mismatch_exits_with_1_and_says_that_it_waits(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.vault.set(90 * FLOW, 100 * FLOW)
    assert world.run() == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == (
        "Contract short: the vault holds 10.00000000 FLOW less than the contract owes its users."
    )
    assert fields(shown.out)["Vault - ledger"] == "-10.00000000 FLOW"
    assert fields(shown.out)["Audit row"] == "1"
    assert shown.err == "They differ. Looking again in 30 s.\n"


def test_a_mismatch_that_does_not_last_is_not_called_confirmed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    totals = iter([90, 110, 90])
    world.store.before_totals = lambda: world.store.hold(next(totals) * FLOW)
    assert world.run() == 1
    shown = fields(capsys.readouterr().out)
    assert shown["Confirmed"].startswith("no")
    assert "Audit row" not in shown


def test_what_a_sum_does_not_show_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.store.totals = LedgerTotals(
        total=FlowAmount(100 * FLOW),
        users=9,
        negative_users=2,
        negative_total=FlowAmount(-5),
        unusable_users=3,
        respelled_users=1,
    )
    assert world.run() == 0
    shown = fields(capsys.readouterr().out)
    assert shown["below zero"] == "2 users, -0.00000005 FLOW"
    assert shown["left out"] == "3 users whose balance is no amount"
    assert shown["twice"] == "1 row spells an account that has another row"


def test_what_cannot_be_read_exits_with_2(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.vault.failures = [ContractFunctionMissing("no vault", remedy="Give a script.")]
    assert world.run() == 2
    shown = capsys.readouterr().out
    assert shown.startswith("Unreadable: the sums could not be read (contract_function_missing).\n")
    assert fields(shown)["Error"] == "no vault. Give a script. [contract_function_missing]"
    assert "Ledger" not in fields(shown)


def test_json_is_one_line_and_people_read_stderr(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.store.hold(101 * FLOW)
    assert world.run("--json") == 1
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    answer = json.loads(line)
    assert answer == {"type": "solvency", **world.store.checks[0].as_json()}
    assert answer["difference"] == "-1.00000000"
    assert "Deficit: the vault holds" in shown.err


def test_a_check_that_cannot_be_stored_is_an_error(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.store.failures = [LedgerUnreachable("down", remedy="Wait.")] * 2
    assert world.run("--json") == 2
    assert json.loads(capsys.readouterr().out)["code"] == "ledger_unreachable"


@pytest.mark.parametrize("argv", [["--user", "x"], ["--yes"], ["now"], ["--admin", " "]])
def test_other_words_are_bad_usage(world: World, argv: list[str]) -> None:
    assert world.run(*argv) == 2
    assert not world.store.checks


def test_an_error_from_elsewhere_is_harmless_to_a_terminal(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.vault.failures = [ContractFunctionMissing("\x1b[2J", remedy="Give a script.")]
    world.run()
    assert "\x1b" not in capsys.readouterr().out
