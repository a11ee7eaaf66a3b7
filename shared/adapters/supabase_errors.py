"""From what supabase-py raises to our errors, by SQLSTATE and PostgREST code, never by text."""

import httpx
from postgrest.exceptions import APIError

from shared.core.errors import (
    LedgerConstraintViolation,
    LedgerError,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerProcedureMissing,
    LedgerTimeout,
    LedgerUnauthorized,
    LedgerUnreachable,
)

_UNREACHABLE = frozenset(
    {"PGRST000", "PGRST001", "PGRST002", "502", "503", "504", "520", "521", "522"}
)
_LOCKED = frozenset({"55P03", "40P01", "40001"})
_TIMED_OUT = frozenset({"57014", "PGRST003"})
_UNAUTHORIZED = frozenset({"42501", "PGRST300", "PGRST301", "PGRST302", "PGRST303", "401", "403"})
_MISSING = frozenset({"PGRST202", "PGRST203", "PGRST205", "42883", "42P01", "404"})
_UNREACHABLE_CLASSES = ("08", "53", "57P")


def ledger_error(error: Exception) -> LedgerError:
    """Translate an httpx or PostgREST error; the caller raises it `from` the original."""
    if isinstance(error, APIError):
        return _of_code(error.code or "", error.message or "no message")
    if isinstance(error, httpx.TimeoutException):
        return LedgerTimeout(
            "Supabase did not answer in time",
            remedy="If it persists, raise SUPABASE_TIMEOUT_S or lower RECONCILE_BATCH_SIZE.",
        )
    return _unreachable(type(error).__name__)


def unauthorized(status: int) -> LedgerUnauthorized:
    """The key was refused with this HTTP status."""
    return LedgerUnauthorized(
        f"Supabase refused the key (HTTP {status})",
        remedy="Set SUPABASE_SERVICE_ROLE_KEY to the service_role key of this project.",
    )


def _of_code(code: str, message: str) -> LedgerError:
    if code in _UNAUTHORIZED:
        return unauthorized(401)
    if code in _LOCKED:
        return LedgerLockTimeout(
            f"a ledger row is locked by somebody else ({code})",
            remedy="Try again; look for a long transaction on user_balances if it persists.",
        )
    if code in _TIMED_OUT:
        return LedgerTimeout(
            f"the database cancelled the statement for its time ({code})",
            remedy="Try again; lower RECONCILE_BATCH_SIZE if it persists.",
        )
    if code in _MISSING:
        return LedgerProcedureMissing(
            f"the database lacks a procedure of ours ({code})",
            remedy="Apply supabase/migrations to this project, and reload PostgREST's schema.",
        )
    if code in _UNREACHABLE or code.startswith(_UNREACHABLE_CLASSES):
        return _unreachable(code)
    if code.startswith("23"):
        return LedgerConstraintViolation(
            f"a constraint of the database refuses the balance ({code}: {message[:200]})",
            remedy="Correct the constraint or the contract's balance; nothing was changed.",
        )
    if code.startswith(("22", "BR")):
        return LedgerInvalidValue(
            f"the database refuses a value ({code}: {message[:200]})",
            remedy="Look at the stored row of this user; nothing was changed.",
        )
    return LedgerError(
        f"the database failed ({code or 'no code'}: {message[:200]})",
        remedy="Look at the database's log; nothing was changed.",
    )


def _unreachable(reason: str) -> LedgerUnreachable:
    return LedgerUnreachable(
        f"Supabase cannot be reached ({reason})",
        remedy="Check SUPABASE_URL and that the project is running, or try again.",
    )
