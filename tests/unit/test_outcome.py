import json
from datetime import UTC, datetime

from shared.core.amount import UFIX64_MAX, FlowAmount
from shared.core.outcome import SETTLED, Outcome, ReconciliationResult, iso_utc
from tests.unit.users import user

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_result_is_camel_case_json_with_decimal_strings() -> None:
    result = ReconciliationResult(
        user_address=user(1),
        outcome=Outcome.CORRECTED,
        timestamp=NOW,
        old_balance=UFIX64_MAX,
        new_balance=FlowAmount(1),
        discrepancy=FlowAmount(1 - UFIX64_MAX),
        block_height=42,
        scan_height=41,
        audit_id="17",
    )
    assert json.loads(json.dumps(result.as_json())) == {
        "success": True,
        "userAddress": user(1),
        "outcome": "corrected",
        "oldBalance": "184467440737.09551615",
        "newBalance": "0.00000001",
        "discrepancy": "-184467440737.09551614",
        "blockHeight": 42,
        "scanHeight": 41,
        "auditId": "17",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "error": None,
        "errorCode": None,
    }


def test_a_failed_result_has_its_code_and_no_balances() -> None:
    result = ReconciliationResult(
        user_address="alice",
        outcome=Outcome.FAILED,
        timestamp=NOW,
        error="no address",
        error_code="invalid_address",
    )
    body = result.as_json()
    assert (body["success"], body["errorCode"]) == (False, "invalid_address")
    assert body["oldBalance"] is None
    assert body["newBalance"] is None
    assert body["discrepancy"] is None


def test_only_who_failed_or_is_held_is_no_success() -> None:
    for outcome in Outcome:
        result = ReconciliationResult(user_address="a", outcome=outcome, timestamp=NOW)
        assert result.success is (outcome not in (Outcome.FAILED, Outcome.HELD))


def test_a_zero_balance_is_written_out() -> None:
    result = ReconciliationResult(
        user_address="a", outcome=Outcome.IN_SYNC, timestamp=NOW, new_balance=FlowAmount(0)
    )
    assert result.as_json()["newBalance"] == "0.00000000"


def test_having_copies_with_changes() -> None:
    result = ReconciliationResult(user_address="a", outcome=Outcome.IN_SYNC, timestamp=NOW)
    changed = result.having(audit_id="3")
    assert (changed.audit_id, result.audit_id) == ("3", None)


def test_settled_is_where_nothing_is_left_to_do() -> None:
    assert {Outcome.IN_SYNC, Outcome.CORRECTED, Outcome.TRANSIENT} == SETTLED


def test_a_moment_without_a_fraction_has_milliseconds_too() -> None:
    assert iso_utc(NOW.replace(microsecond=0)) == "2026-01-02T03:04:05.000Z"
