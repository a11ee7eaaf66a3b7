"""From error codes to HTTP: which status, and whether a retry may help."""

from shared.http.problem import Problem, internal_problem

_UNAVAILABLE = frozenset(
    {
        "contract_unreachable",
        "contract_rate_limited",
        "contract_height_unavailable",
        "ledger_unreachable",
        "ledger_lock_timeout",
        "stale_height",
        "changed_meanwhile",
        "queue_error",
        "report_store_error",
        "jwks_unreachable",
        "sign_in_unreachable",
        "users_unsettled",
        "alert_not_delivered",
    }
)
_TIMED_OUT = frozenset({"contract_timeout", "ledger_timeout"})
_REQUEST_INVALID = frozenset(
    {"invalid_input", "invalid_address", "invalid_admin", "invalid_reason", "ambiguous_address"}
)
_NOT_FOUND = frozenset({"run_not_found", "user_not_found"})
_CONFLICT = {"run_active": True, "run_not_applicable": False, "user_held": False}
"""Another run, the state of this one, or a hold is in the way; True: that may pass by itself."""
# The procedure's complaints about what the contract or the stored row says, not the caller.
_UPSTREAM_INVALID = frozenset(
    {"invalid_balance", "invalid_height", "invalid_ledger_balance", "chunk_gave_up"}
)


def problem_of(code: str | None, text: str | None) -> Problem:
    """The problem for an error `code`; `text` is the error's own, fit for an operator."""
    code, text = code or "internal_error", text or "No reason was given."
    if code == "invalid_settings":
        return invalid_settings_problem()
    if code in _UNAVAILABLE:
        return Problem(503, code, text, retryable=True)
    if code in _TIMED_OUT:
        return Problem(504, code, text, retryable=True)
    if code in _REQUEST_INVALID:
        return Problem(422, code, text)
    if code in _NOT_FOUND:
        return Problem(404, code, text)
    if code in _CONFLICT:
        return Problem(409, code, text, retryable=_CONFLICT[code])
    if code in _UPSTREAM_INVALID or code.startswith(("contract_", "ledger_")):
        return Problem(502, code, text)
    return internal_problem()


def invalid_settings_problem() -> Problem:
    """Names no setting: without valid settings callers are not known, and anybody may be asking."""
    return Problem(
        503,
        "invalid_settings",
        "A setting of this function is missing or wrong. Its log names each; correct them and "
        "deploy again.",
    )


def not_configured_problem() -> Problem:
    """There is nothing to check callers by, so nobody is served."""
    return Problem(
        503,
        "not_configured",
        "This function has nothing to check callers by. Set RECONCILE_API_KEYS, "
        "SUPABASE_JWKS_URL or SUPABASE_JWT_SECRET, and deploy again.",
    )
