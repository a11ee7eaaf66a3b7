"""`reconcile_all_users` on the real stack."""

from collections.abc import Callable, Mapping

import pytest

from shared import Outcome, reconcile_all_users
from tests.conftest import Balances, LedgerTables, Setting, new_addresses
from tests.counts import counts

Give = Callable[[Mapping[str, int]], None]

UFIX64_MAX = 2**64 - 1

pytestmark = pytest.mark.usefixtures("environment")


def test_exactly_those_with_discrepancies_are_corrected(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    users = new_addresses(40)
    truth = {user: 1_000 + number for number, user in enumerate(users)}
    drifted = {users[3]: 10, users[17]: 5_000, users[30]: 0}
    ledger_rows.insert(truth | drifted)
    contract_balances(truth)

    result = reconcile_all_users()

    assert [each.user_address for each in result] == sorted(drifted)
    assert {each.outcome for each in result} == {Outcome.CORRECTED}
    assert [(each.old_balance, each.new_balance) for each in result] == [
        (drifted[user], truth[user]) for user in sorted(drifted)
    ]
    assert counts(result.summary) == {Outcome.IN_SYNC: 37, Outcome.CORRECTED: 3}
    assert result.summary.users == sum(result.summary.outcomes.values()) == 40
    assert ledger_rows.balances() == truth
    audit = ledger_rows.audit()
    assert {row.user_address: row.amount for row in audit} == {
        user: truth[user] - units for user, units in drifted.items()
    }
    change = sum(truth.values()) - sum((truth | drifted).values())
    assert sum(row.amount for row in audit) == change
    assert result.summary.surplus + result.summary.deficit == change
    assert {row.transaction_hash for row in audit} == {"reconciliation_by_ADMIN"}


def test_the_admin_who_is_named_is_in_the_audit_log(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    (user,) = new_addresses(1)
    ledger_rows.insert({user: 1})
    contract_balances({user: 2})

    reconcile_all_users("0xabc")

    assert [row.transaction_hash for row in ledger_rows.audit()] == ["reconciliation_by_0xabc"]


def test_a_dry_run_changes_neither_balances_nor_audit_log(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    users = new_addresses(5)
    ledger = dict.fromkeys(users, 100)
    ledger_rows.insert(ledger)
    contract_balances(ledger | {users[1]: 1, users[2]: 250})

    result = reconcile_all_users(dry_run=True)

    assert result.summary.dry_run
    assert {each.user_address: each.discrepancy for each in result} == {
        users[1]: -99,
        users[2]: 150,
    }
    assert {each.outcome for each in result} == {Outcome.WOULD_CORRECT}
    assert ledger_rows.balances() == ledger
    assert ledger_rows.audit() == []


def test_a_second_sweep_finds_nothing(ledger_rows: LedgerTables, contract_balances: Give) -> None:
    users = new_addresses(4)
    ledger_rows.insert(dict.fromkeys(users, 1))
    contract_balances(dict.fromkeys(users, 2))
    assert len(reconcile_all_users()) == 4

    again = reconcile_all_users()

    assert list(again) == []
    assert counts(again.summary) == {Outcome.IN_SYNC: 4}
    assert len(ledger_rows.audit()) == 4


def test_the_others_go_on_after_one_users_error(
    ledger_rows: LedgerTables, on_balance_fixture: Balances
) -> None:
    users = new_addresses(8)
    ledger_rows.insert(dict.fromkeys(users, 5))
    on_balance_fixture.set(dict.fromkeys(users, 8))
    on_balance_fixture.fail([users[3]])

    result = reconcile_all_users()

    assert counts(result.summary) == {Outcome.CORRECTED: 7, Outcome.FAILED: 1}
    (failed,) = [each for each in result if not each.success]
    assert (failed.user_address, failed.error_code) == (users[3], "contract_query_failed")
    assert f"user {users[3]} is set to fail" in (failed.error or "")
    # A balance that could not be read is never taken for zero.
    assert ledger_rows.balances() == dict.fromkeys(users, 8) | {users[3]: 5}
    assert users[3] not in {row.user_address for row in ledger_rows.audit()}


def test_amounts_are_exact_to_the_last_unit(
    ledger_rows: LedgerTables, on_balance_fixture: Balances
) -> None:
    users = new_addresses(3)
    ledger_rows.insert({users[0]: 0, users[1]: UFIX64_MAX - 1, users[2]: UFIX64_MAX})
    truth = {users[0]: 1, users[1]: UFIX64_MAX, users[2]: UFIX64_MAX}
    on_balance_fixture.set(truth)

    result = reconcile_all_users()

    assert [each.discrepancy for each in result] == [1, 1]
    assert ledger_rows.balances() == truth
    assert [row.amount for row in ledger_rows.audit()] == [1, 1]


def test_an_empty_ledger_is_an_empty_result(ledger_rows: LedgerTables) -> None:
    result = reconcile_all_users()

    assert list(result) == []
    assert (result.summary.users, counts(result.summary)) == (0, {})
    assert result.summary.complete
    assert ledger_rows.audit() == []


@pytest.mark.parametrize("batch_size", ["1", "3", "1000"])
def test_every_user_is_looked_at_once_whatever_the_batches(
    environment: Setting, ledger_rows: LedgerTables, contract_balances: Give, batch_size: str
) -> None:
    environment(RECONCILE_BATCH_SIZE=batch_size)
    users = new_addresses(10)
    truth = dict.fromkeys(users, 20)
    ledger_rows.insert(truth | {users[0]: 1, users[9]: 2})
    contract_balances(truth)

    result = reconcile_all_users()

    assert [each.user_address for each in result] == [users[0], users[9]]
    assert counts(result.summary) == {Outcome.IN_SYNC: 8, Outcome.CORRECTED: 2}
    assert ledger_rows.balances() == truth


def test_more_users_than_postgrest_gives_at_once_are_all_seen(
    environment: Setting, ledger_rows: LedgerTables, on_balance_fixture: Balances
) -> None:
    environment(RECONCILE_HALT_SHARE="1")
    users = new_addresses(2_500)
    ledger_rows.insert(dict.fromkeys(users, 0))
    on_balance_fixture.set({users[-1]: 1})

    result = reconcile_all_users()

    assert result.summary.users == 2_500
    assert [each.user_address for each in result] == [users[-1]]


def test_a_malformed_key_fails_and_other_spellings_are_matched_as_stored(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    upper, bare, plain = ("0xabcdef" + user[8:] for user in new_addresses(3))
    stored = {"0x" + upper[2:].upper(): 1, bare[2:]: 1, plain: 1, "not-an-address": 1}
    ledger_rows.insert(stored)
    contract_balances({upper: 2, bare: 3, plain: 4})

    result = reconcile_all_users()

    assert counts(result.summary) == {Outcome.CORRECTED: 3, Outcome.FAILED: 1}
    (failed,) = [each for each in result if not each.success]
    assert (failed.user_address, failed.error_code) == ("not-an-address", "invalid_address")
    assert ledger_rows.balances() == {
        "0x" + upper[2:].upper(): 2,
        bare[2:]: 3,
        plain: 4,
        "not-an-address": 1,
    }


def test_a_contract_in_which_all_read_zero_halts_the_run(
    ledger_rows: LedgerTables, environment: Setting, on_balance_fixture: Balances
) -> None:
    users = new_addresses(3)
    ledger = dict.fromkeys(users, 7)
    ledger_rows.insert(ledger)

    result = reconcile_all_users()

    assert result.summary.halt is not None
    assert result.summary.halt.reason == "all_read_zero"
    assert "--accept-halt" in result.summary.halt.remedy
    assert {each.outcome for each in result} == {Outcome.WOULD_CORRECT}
    assert not result.summary.complete
    assert ledger_rows.balances() == ledger
    assert ledger_rows.audit() == []

    environment(RECONCILE_HALT_SHARE="1")
    assert reconcile_all_users().summary.count(Outcome.CORRECTED) == 3
    assert ledger_rows.balances() == dict.fromkeys(users, 0)
    assert on_balance_fixture.address


def test_a_run_in_which_most_differ_halts(
    ledger_rows: LedgerTables, environment: Setting, on_balance_fixture: Balances
) -> None:
    users = new_addresses(100)
    ledger = dict.fromkeys(users, 7)
    ledger_rows.insert(ledger)
    on_balance_fixture.set(ledger | dict.fromkeys(users[:51], 8))

    result = reconcile_all_users()

    assert result.summary.halt is not None
    assert result.summary.halt.reason == "most_differ"
    assert "--accept-halt" in result.summary.halt.remedy
    assert ledger_rows.balances() == ledger
    assert ledger_rows.audit() == []

    environment(RECONCILE_HALT_SHARE="1")
    assert reconcile_all_users().summary.count(Outcome.CORRECTED) == 51
