from shared.core.amount import FlowAmount
from shared.core.compare import Candidate, Comparison, Failure, LedgerPage
from shared.core.confirm import Confirmation, confirm
from shared.core.errors import ContractScriptFailed
from tests.unit.users import user

A = user(1)


def candidate(ledger: int, contract: int, height: int = 5) -> Candidate:
    return Candidate(A, FlowAmount(ledger), FlowAmount(contract), height)


SCANNED = candidate(10, 20)
PRESENT = LedgerPage([A], ["0.00000010"])


def confirm_one(page: LedgerPage, found: Comparison) -> Confirmation:
    return confirm([SCANNED], page, found)


def test_a_difference_that_lasts_is_confirmed_with_the_newer_contract_balance() -> None:
    now = candidate(10, 25, height=9)
    assert confirm_one(PRESENT, Comparison(0, [now], [])) == Confirmation(confirmed=[now])


def test_agreeing_now_is_transient() -> None:
    assert confirm_one(PRESENT, Comparison(1, [], [])) == Confirmation(transient=[SCANNED])


def test_a_moved_row_that_still_differs_is_changed_meanwhile() -> None:
    found = Comparison(0, [candidate(11, 20)], [])
    assert confirm_one(PRESENT, found) == Confirmation(changed_meanwhile=[SCANNED])


def test_a_vanished_row_is_changed_meanwhile() -> None:
    found = confirm_one(LedgerPage([], []), Comparison(0, [], []))
    assert found == Confirmation(changed_meanwhile=[SCANNED])


def test_who_is_held_since_the_scan_is_held_with_the_newer_balances() -> None:
    now = candidate(10, 25, height=9)
    found = confirm_one(PRESENT, Comparison(0, [], [], held=[now]))
    assert found == Confirmation(held=[now])


def test_who_is_held_and_moved_is_changed_meanwhile() -> None:
    found = confirm_one(PRESENT, Comparison(0, [], [], held=[candidate(11, 20)]))
    assert found == Confirmation(changed_meanwhile=[SCANNED])


def test_a_user_who_can_no_longer_be_read_fails_with_the_scanned_balance() -> None:
    error = ContractScriptFailed("panic", remedy="Ask.")
    found = confirm_one(PRESENT, Comparison(0, [], [Failure(A, error)]))
    assert found.failures == [Failure(A, error, FlowAmount(10))]
