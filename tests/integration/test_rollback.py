"""Rollback and holds as an admin has them: the real database, the real chain."""

from collections.abc import Callable, Mapping

import pytest

from shared import reconcile_all_users, reconcile_user_balance
from shared.bootstrap import services
from shared.cli.main import main
from shared.core.hold import HoldOutcome
from shared.core.outcome import Outcome
from shared.core.rollback import RollbackOutcome
from tests.conftest import LedgerTables, Setting, new_addresses

Give = Callable[[Mapping[str, int]], None]


@pytest.fixture
def users(environment: Setting, ledger_rows: LedgerTables, contract_balances: Give) -> list[str]:
    """Five users of whom three have drifted by 7; who calls has a ledger of its own."""
    environment(RECONCILE_HALT_SHARE="1")
    users = new_addresses(5)
    contract_balances(dict.fromkeys(users, 1_000))
    ledger_rows.insert({user: 1_000 if n > 2 else 1_007 for n, user in enumerate(users)})
    return users


def test_a_run_is_rolled_back_held_released_and_corrected_again(
    users: list[str], ledger_rows: LedgerTables
) -> None:
    run_id = reconcile_all_users("alice").summary.run_id
    done = services().rollbacks.run(run_id, "bob", "wrong contract")

    assert done.outcomes == {RollbackOutcome.ROLLED_BACK: 3}
    assert (done.amount, done.complete) == (21, True)
    assert ledger_rows.balances() == {
        user: 1_000 if n > 2 else 1_007 for n, user in enumerate(users)
    }
    assert [row[1:] for row in ledger_rows.audit()][3:] == [
        ("reconciliation_rollback", 7, 1_000, 1_007, "rollback_by_bob")
    ] * 3

    swept = reconcile_all_users("alice")
    assert swept.summary.count(Outcome.HELD) == 3
    assert swept.summary.count(Outcome.IN_SYNC) == 2
    assert [(each.user_address, each.outcome, each.discrepancy) for each in swept] == [
        (user, Outcome.HELD, -7) for user in users[:3]
    ]
    assert len(ledger_rows.audit()) == 6, "nobody was corrected"
    assert [each.user_address for each in services().holds.list()] == users[:3]

    assert services().holds.release(users[0], "bob").outcome is HoldOutcome.RELEASED
    swept = reconcile_all_users("alice")
    assert swept.summary.count(Outcome.HELD) == 2
    assert swept.summary.count(Outcome.CORRECTED) == 1
    assert ledger_rows.balances()[users[0]] == 1_000

    again = services().rollbacks.run(run_id, "bob", "wrong contract")
    assert again.outcomes == {RollbackOutcome.ALREADY_ROLLED_BACK: 3}
    corrected_again = swept[0].audit_id
    assert corrected_again is not None
    undone = services().rollbacks.audit(corrected_again, "bob", "wrong again")
    assert undone.outcome is RollbackOutcome.ROLLED_BACK, "another audit row, so allowed"


def test_one_user_is_held_and_told_so_however_they_are_asked_about(users: list[str]) -> None:
    services().holds.hold(users[0], "alice", "disputed")

    result = reconcile_user_balance(users[0][2:].upper(), "bob")

    assert (result.success, result.outcome) == (False, Outcome.HELD)
    assert (result.error_code, result.discrepancy) == ("user_held", -7)
    assert f"reconcile release {users[0]}" in (result.error or "")


def test_the_command_rolls_back_by_pages_and_exits_by_what_became_of_them(
    users: list[str], ledger_rows: LedgerTables, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = str(reconcile_all_users("alice").summary.run_id)
    ledger_rows.run(f"update user_balances set balance = 5 where user_address = '{users[1]}'")
    command = ["rollback", "--run", run_id, "--reason", "wrong contract", "--yes"]

    assert main(command) == 1

    out = capsys.readouterr().out
    assert "rolled back          2" in out
    assert f"1 refused with changed_meanwhile, such as {users[1]}" in out
    assert main(["--all", "--yes"]) == 0, "held users change no exit code"
    assert main(["holds"]) == 0
    assert users[0] in capsys.readouterr().out


def test_a_page_with_a_row_that_the_app_refuses_is_halved_until_it_is_found(
    users: list[str], ledger_rows: LedgerTables
) -> None:
    run_id = reconcile_all_users("alice").summary.run_id
    ledger_rows.run(
        "alter table user_balances add constraint test_no_way_back"
        f" check (user_address <> '{users[1]}' or balance <> 0.00001007)"
    )
    try:
        done = services().rollbacks.run(run_id, "bob", "wrong contract")
    finally:
        ledger_rows.run("alter table user_balances drop constraint test_no_way_back")

    assert done.outcomes == {RollbackOutcome.ROLLED_BACK: 2, RollbackOutcome.REFUSED: 1}
    [refused] = done.refused
    assert (refused.user_address, refused.code) == (users[1], "ledger_constraint_violation")
