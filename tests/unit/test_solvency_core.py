import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.alert import AlertKind, Severity
from shared.core.amount import SMALLEST, FlowAmount
from shared.core.solvency import (
    LedgerTotals,
    SolvencyCheck,
    SolvencyReading,
    SolvencyState,
    VaultBalances,
)
from shared.core.solvency_alert import mismatch_alert, solvency_sentence, unreadable_alert

S = SolvencyState
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def reading(vault: int, ledger: int, contract: int) -> SolvencyReading:
    return SolvencyReading(
        ledger=LedgerTotals(total=FlowAmount(ledger), users=3),
        contract=VaultBalances(
            vault_balance=FlowAmount(vault), contract_total=FlowAmount(contract)
        ),
        block_height=7,
    )


def check(vault: int, ledger: int, contract: int) -> SolvencyCheck:
    read = reading(vault, ledger, contract)
    return SolvencyCheck(
        check_id=UUID("6900f7a2-1c68-4b4d-a152-04c73fea725e"),
        checked_at=AT,
        admin_address="ADMIN",
        state=read.state(SMALLEST),
        confirmed=read.state(SMALLEST).is_mismatch,
        since=AT,
        tolerance=SMALLEST,
        block_height=read.block_height,
        ledger_total=read.ledger.total,
        ledger_users=1234,
        negative_users=0,
        negative_total=FlowAmount(0),
        unusable_users=0,
        respelled_users=0,
        vault_balance=read.contract.vault_balance,
        contract_total=read.contract.contract_total,
        audit_id="9" if read.state(SMALLEST).is_mismatch else None,
    )


UNREADABLE = SolvencyCheck(
    check_id=UUID(int=1),
    checked_at=AT,
    admin_address="ADMIN",
    state=S.UNREADABLE,
    confirmed=False,
    since=AT,
    tolerance=SMALLEST,
    error_code="contract_timeout",
    error="It did not answer. Try again.",
)


@pytest.mark.parametrize(
    ("vault", "ledger", "contract", "state"),
    [
        (10, 10, 10, S.SOLVENT),
        (0, 0, 0, S.SOLVENT),
        # The ledger alone is off.
        (10, 11, 10, S.DEFICIT),
        (10, 9, 10, S.SURPLUS),
        # The vault alone: the contract cannot pay, or somebody has put FLOW into it.
        (9, 10, 10, S.CONTRACT_SHORT),
        (11, 10, 10, S.SURPLUS),
        # The contract's total alone.
        (10, 10, 9, S.CONTRACT_MISMATCH),
        (10, 10, 11, S.CONTRACT_SHORT),
        # All three differ: what the vault lacks of the contract's debts comes first.
        (8, 9, 10, S.CONTRACT_SHORT),
        (8, 10, 9, S.CONTRACT_SHORT),
        (9, 8, 10, S.CONTRACT_SHORT),
        (9, 10, 8, S.DEFICIT),
        (10, 8, 9, S.SURPLUS),
        (10, 9, 8, S.SURPLUS),
    ],
)
def test_every_order_of_the_three_sums_has_its_state(
    vault: int, ledger: int, contract: int, state: SolvencyState
) -> None:
    assert reading(vault, ledger, contract).state(SMALLEST) is state


AMOUNTS = st.integers(0, 2**64 - 1)


@given(AMOUNTS, st.integers(-(10**30), 10**30), AMOUNTS, st.integers(1, 10**12))
def test_solvent_is_what_both_differences_are_below_the_tolerance_of(
    vault: int, ledger: int, contract: int, tolerance: int
) -> None:
    read = reading(vault, ledger, contract)
    small = abs(vault - ledger) < tolerance and abs(contract - ledger) < tolerance
    assert (read.state(FlowAmount(tolerance)) is S.SOLVENT) == small
    assert read.difference == vault - ledger
    assert read.contract_difference == contract - ledger


@pytest.mark.parametrize(
    ("vault", "tolerance", "state"),
    [(1_004, 5, S.SOLVENT), (1_005, 5, S.SURPLUS), (996, 5, S.SOLVENT), (995, 5, S.CONTRACT_SHORT)],
)
def test_a_difference_of_the_tolerance_counts(
    vault: int, tolerance: int, state: SolvencyState
) -> None:
    assert reading(vault, 1_000, 1_000).state(FlowAmount(tolerance)) is state


def test_a_sum_that_no_float_holds_is_exact() -> None:
    largest = check(2**64 - 1, 2**64, 2**64 - 1)
    assert largest.state is S.DEFICIT
    assert largest.as_json()["difference"] == "-0.00000001"
    assert largest.as_json()["ledgerTotal"] == "184467440737.09551616"


def test_json_has_amounts_as_text_and_times_in_utc() -> None:
    shown = check(90, 100, 95).as_json()
    assert json.loads(json.dumps(shown)) == shown
    assert shown["state"] == "contract_short"
    assert shown["checkedAt"] == "2026-01-02T03:04:05.678Z"
    assert (shown["difference"], shown["contractDifference"]) == ("-0.00000010", "-0.00000005")


def test_json_of_an_unreadable_check_has_no_amounts() -> None:
    shown = UNREADABLE.as_json()
    assert {shown[name] for name in ("ledgerTotal", "vaultBalance", "difference")} == {None}
    assert shown["errorCode"] == "contract_timeout"


SENTENCES = [
    (check(9, 10, 10), "the vault holds 0.00000001 FLOW less than the contract owes its users"),
    (check(10, 12, 10), "the vault holds 0.00000002 FLOW less than the ledger promises"),
    (check(13, 10, 10), "the vault holds 0.00000003 FLOW more than the ledger promises"),
    (check(10, 10, 6), "the vault covers the ledger, and the contract owes 0.00000004 FLOW less"),
    (check(8, 10, 9), "the vault holds 0.00000001 FLOW less than the contract owes its users"),
    (check(10, 10, 10), "the ledger, the vault and the contract agree"),
    (UNREADABLE, "the sums could not be read (contract_timeout)"),
]


@pytest.mark.parametrize(("found", "sentence"), SENTENCES)
def test_a_sentence_says_what_is_wrong_and_how_much(found: SolvencyCheck, sentence: str) -> None:
    assert solvency_sentence(found) == sentence


def test_an_alert_has_the_sums_the_time_and_the_audit_row() -> None:
    alert = mismatch_alert(check(90_00000000, 100_00000000, 90_00000000))
    assert alert.kind is AlertKind.SOLVENCY_MISMATCH
    assert alert.severity is Severity.CRITICAL
    assert alert.summary == "The vault holds 10.00000000 FLOW less than the ledger promises."
    assert dict(alert.facts) == {
        "Ledger": "100.00000000 FLOW",
        "Vault": "90.00000000 FLOW",
        "Contract": "90.00000000 FLOW",
        "Vault − ledger": "-10.00000000 FLOW",
        "Contract − ledger": "-10.00000000 FLOW",
        "Users": "1,234",
        "Block height": "7",
        "Since": "2026-01-02T03:04:05.678Z",
        "Audit row": "9",
    }


def test_an_alert_says_why_there_is_no_audit_row() -> None:
    refused = replace(check(9, 10, 9), audit_id=None, error_code="audit_row_refused")
    assert mismatch_alert(refused).facts["Audit row"] == "none (audit_row_refused)"


def test_more_than_is_owed_is_no_emergency() -> None:
    assert mismatch_alert(check(11, 10, 10)).severity is Severity.WARNING


@pytest.mark.parametrize("found", [check(9, 10, 10), check(10, 11, 10), check(10, 10, 9)])
def test_less_than_is_owed_is_one(found: SolvencyCheck) -> None:
    assert mismatch_alert(found).severity is Severity.CRITICAL


def test_people_are_told_again_when_a_hole_grows_or_is_another_not_when_it_moves_a_little() -> None:
    hole = mismatch_alert(check(5, 10, 5)).state
    assert mismatch_alert(check(4, 10, 4)).state == hole
    assert mismatch_alert(check(0, 10, 0)).state != hole
    assert mismatch_alert(check(5, 10, 10)).state != hole


def test_an_outage_is_a_warning_and_says_that_it_is_one() -> None:
    alert = unreadable_alert(UNREADABLE)
    assert alert.kind is AlertKind.SOLVENCY_UNREADABLE
    assert alert.severity is Severity.WARNING
    assert alert.state == "contract_timeout"
    assert "outage" in alert.summary
    assert alert.remedy == "It did not answer. Try again."
