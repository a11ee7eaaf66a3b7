import httpx
import pytest
from postgrest.exceptions import APIError

from shared.adapters.supabase_errors import ledger_error, unauthorized

REQUEST = httpx.Request("POST", "https://project.example/rest/v1/rpc/x")


def api_error(code: str | None, message: str = "text") -> APIError:
    return APIError({"code": code, "message": message, "details": None, "hint": None})


@pytest.mark.parametrize(
    ("code", "expected", "retryable"),
    [
        ("PGRST000", "ledger_unreachable", True),
        ("PGRST002", "ledger_unreachable", True),
        ("502", "ledger_unreachable", True),
        ("503", "ledger_unreachable", True),
        ("08006", "ledger_unreachable", True),
        ("53300", "ledger_unreachable", True),
        ("57P01", "ledger_unreachable", True),
        ("55P03", "ledger_lock_timeout", True),
        ("40P01", "ledger_lock_timeout", True),
        ("40001", "ledger_lock_timeout", True),
        ("57014", "ledger_timeout", True),
        ("PGRST003", "ledger_timeout", True),
        ("42501", "ledger_unauthorized", False),
        ("PGRST301", "ledger_unauthorized", False),
        ("401", "ledger_unauthorized", False),
        ("PGRST202", "ledger_procedure_missing", False),
        ("42883", "ledger_procedure_missing", False),
        ("42P01", "ledger_procedure_missing", False),
        ("23514", "ledger_constraint_violation", False),
        ("23502", "ledger_constraint_violation", False),
        ("22003", "ledger_invalid_value", False),
        ("22P02", "ledger_invalid_value", False),
        ("BR001", "ledger_invalid_value", False),
        ("BR003", "ledger_invalid_value", False),
        ("XX000", "ledger_error", False),
        (None, "ledger_error", False),
    ],
)
def test_goes_by_the_code(code: str | None, expected: str, retryable: bool) -> None:
    error = ledger_error(api_error(code))
    assert (error.code, error.retryable) == (expected, retryable)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused", request=REQUEST), "ledger_unreachable"),
        (httpx.RemoteProtocolError("closed", request=REQUEST), "ledger_unreachable"),
        (httpx.ReadTimeout("late", request=REQUEST), "ledger_timeout"),
        (httpx.ConnectTimeout("late", request=REQUEST), "ledger_timeout"),
        (httpx.PoolTimeout("late", request=REQUEST), "ledger_timeout"),
    ],
)
def test_the_network_may_be_tried_again(error: Exception, expected: str) -> None:
    translated = ledger_error(error)
    assert (translated.code, translated.retryable) == (expected, True)


def test_the_text_of_an_error_decides_nothing() -> None:
    error = ledger_error(api_error("XX000", "canceling statement due to lock timeout 55P03"))
    assert error.code == "ledger_error"


def test_a_long_message_is_cut() -> None:
    assert len(str(ledger_error(api_error("23514", "x" * 5000)))) < 400


def test_a_refused_key_tells_its_status_and_the_setting() -> None:
    text = str(unauthorized(403))
    assert "HTTP 403" in text
    assert "SUPABASE_SERVICE_ROLE_KEY" in text
