"""Every problem that an HTTP function can answer with: its code, its status, and what it means."""

from dataclasses import dataclass, replace

from shared.http.statuses import problem_of


@dataclass(frozen=True, slots=True)
class ProblemCode:
    """One code; `status` is the one that it always comes with."""

    code: str
    status: int
    meaning: str


def _of_service(code: str, meaning: str) -> ProblemCode:
    return ProblemCode(code, problem_of(code, None).status, meaning)


ENTRY = (
    ProblemCode("bad_request", 400, "The request cannot be understood."),
    ProblemCode("not_found", 404, "There is nothing at this path."),
    ProblemCode("method_not_allowed", 405, "The function does not answer this method."),
    ProblemCode("internal_error", 500, "Nobody foresaw it; the function's log says why."),
    ProblemCode("invalid_settings", 503, "A setting is missing or wrong; the log names it."),
    ProblemCode("not_configured", 503, "There is nothing to check callers by."),
)
"""From every function."""

CALLER = (
    ProblemCode("unauthorized", 401, "No key or token was given, or it is not accepted."),
    ProblemCode("forbidden", 403, "The caller's role may not do this."),
    ProblemCode("rate_limited", 429, "The caller has asked too often."),
    _of_service("jwks_unreachable", "The keys that tokens are signed with cannot be fetched."),
)
"""From every function for admins."""

BODY = (
    ProblemCode("malformed_body", 400, "The body is no JSON, or did not arrive whole."),
    ProblemCode("body_too_large", 413, "The body is too large."),
    ProblemCode("unsupported_media_type", 415, "The body is not JSON in UTF-8, as it is."),
    _of_service("invalid_input", "A field is missing, unknown, or of another type."),
    _of_service("invalid_admin", "adminAddress is blank, too long, or not printable."),
)
"""From every function that takes a JSON body from an admin."""

KEY = (
    ProblemCode("invalid_idempotency_key", 400, "Idempotency-Key cannot be one."),
    ProblemCode("idempotency_key_in_flight", 409, "The first request with this key is at work."),
    ProblemCode("idempotency_key_reused", 422, "The key came with another body before."),
)
"""From every function that takes an Idempotency-Key."""

FORMAT = (
    ProblemCode("invalid_input", 400, "A parameter or its value is not known."),
    ProblemCode("not_acceptable", 406, "The Accept header allows none of the formats."),
)
"""From the reports."""

QUERY = (ProblemCode("invalid_input", 400, "A parameter or its value is not known."),)
"""From every function that takes other parameters than a format."""

LEDGER = (
    _of_service("ledger_unreachable", "Supabase cannot be reached."),
    _of_service("ledger_lock_timeout", "A ledger row is locked by somebody else."),
    _of_service("ledger_timeout", "Supabase did not answer in time."),
    _of_service("ledger_error", "The database failed."),
    _of_service("ledger_constraint_violation", "A constraint of the app's refuses the balance."),
    _of_service("ledger_invalid_value", "The database refuses a value."),
    _of_service("invalid_ledger_balance", "The stored balance is no amount."),
    _of_service("ledger_unauthorized", "Supabase refuses the service key."),
    _of_service("ledger_procedure_missing", "The migrations of this version are not applied."),
    _of_service("ledger_bad_answer", "The database answered in an unknown form."),
)
CONTRACT = (
    _of_service("contract_unreachable", "The access node cannot be reached."),
    _of_service("contract_rate_limited", "The access node refuses more requests for now."),
    _of_service("contract_height_unavailable", "The access node has not got the block."),
    _of_service("contract_timeout", "The access node did not answer in time."),
    _of_service("contract_error", "The contract cannot be asked."),
    _of_service("contract_not_deployed", "There is no such contract at the address."),
    _of_service("contract_function_missing", "The contract lacks the function that is asked."),
    _of_service("contract_script_invalid", "The script does not run on this network."),
    _of_service("contract_query_failed", "The script failed for this user."),
    _of_service("contract_limit_exceeded", "The script exceeds the network's limits."),
    _of_service("contract_bad_answer", "The contract answered something that is no balance."),
)
"""What may go wrong on either side; from every function that reads them."""

USER = (
    _of_service("invalid_address", "userAddress is no Flow address."),
    _of_service("ambiguous_address", "Several ledger rows spell this address."),
    _of_service("user_held", "The balances differ, and an admin holds the user."),
    _of_service("stale_height", "The row has seen a later block than the one read."),
    _of_service("changed_meanwhile", "The row moved between read and write."),
    _of_service("invalid_balance", "The contract's balance cannot be stored."),
    _of_service("invalid_height", "The block's height cannot be stored."),
)
"""Of one user."""

RUN = (
    _of_service("run_active", "Another run that writes is not finished yet."),
    _of_service("run_not_found", "The run is gone."),
    _of_service("run_not_applicable", "The run has ended meanwhile."),
    _of_service("chunk_gave_up", "A chunk has failed as often as it may."),
    _of_service("queue_error", "The queue does not take messages."),
)
"""Of a bulk run."""

REPORT = (
    _of_service("run_not_found", "There is no such run, or none at all."),
    _of_service("invalid_address", "userAddress is no Flow address."),
    _of_service("user_not_found", "Neither the ledger nor its audit log knows the user."),
    _of_service("report_store_error", "The report is too large, and its store does not take it."),
)
"""From a report of what is stored."""

STORED = (_of_service("report_store_error", "The store of reports takes none."),)
"""From the watchdog, which stores them."""

REASON = (_of_service("invalid_reason", "The reason is blank, too long, or not printable."),)
"""From every function that is told why."""

ROLLBACK = (
    ProblemCode("audit_not_found", 404, "There is no such audit row."),
    _of_service("run_not_found", "There is no such run."),
    _of_service("run_not_applicable", "The run goes on: cancel it first."),
    ProblemCode("not_a_correction", 409, "The audit row is no correction that moved a balance."),
    ProblemCode("ledger_row_missing", 409, "The ledger has no row of the user any more."),
    ProblemCode("changed_meanwhile", 409, "The balance is not what the correction wrote."),
    _of_service("invalid_address", "after can be no user's key."),
)
"""Of corrections that are taken back."""

KEY_OF_USER = (_of_service("invalid_address", "after can be no user's key."),)
"""Of a list that goes on after a user."""

HOLD = (
    _of_service("invalid_address", "userAddress can be no user's key."),
    _of_service("ambiguous_address", "Several ledger rows spell this address."),
    _of_service("user_not_found", "The ledger has no such user."),
)
"""Of a hold."""

MESSAGE = (
    ProblemCode("unauthorized", 401, "The message is not signed by one of our secrets, or is old."),
    ProblemCode("invalid_webhook_id", 400, "Webhook-Id cannot be one."),
    ProblemCode("webhook_in_flight", 409, "This message is at work."),
    ProblemCode("webhook_id_reused", 422, "The id came with another body before."),
    ProblemCode("malformed_body", 400, "The body is no JSON, or did not arrive whole."),
    ProblemCode("body_too_large", 413, "The body is too large."),
    ProblemCode("too_many_users", 413, "The events name too many users."),
    ProblemCode("unsupported_media_type", 415, "The body is not JSON in UTF-8, as it is."),
    ProblemCode("invalid_input", 422, "The body is no event, block of events or list of these."),
    ProblemCode("users_unsettled", 503, "Some users could not be reconciled yet; the others are."),
    _of_service("queue_error", "The queue does not take messages."),
)
"""From the webhook."""


def as_unavailable(problems: tuple[ProblemCode, ...]) -> tuple[ProblemCode, ...]:
    """As the webhook answers them: 503 for everything that may pass, so that it is sent again."""
    return tuple(
        replace(each, status=503) if problem_of(each.code, None).retryable else each
        for each in problems
    )
