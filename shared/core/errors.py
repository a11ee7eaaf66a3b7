"""The error tree. Every error has a stable `code`, says whether a retry may help, names a remedy.

What is expected to happen to a user (drift, a moved row) is an outcome, no error: see `outcome`.
"""


class ReconcileError(Exception):
    """Root of all errors of this project.

    `code` is stable and safe to match on; `str(error)` is one sentence of fault and one of remedy,
    free of secrets, fit for an operator.
    """

    code = "internal_error"
    retryable = False

    def __init__(self, fault: str, *, remedy: str) -> None:
        super().__init__(fault, remedy)
        self.fault = fault.rstrip(".")
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.fault}. {self.remedy}"


class InvalidInput(ReconcileError):
    """Somebody gave a value that cannot be right. Nothing was done."""

    code = "invalid_input"


class InvalidAddress(InvalidInput):
    code = "invalid_address"


class AmbiguousAddress(InvalidInput):
    """More than one ledger row spells the same chain address, none of them as it was asked for."""

    code = "ambiguous_address"


class UserNotFound(InvalidInput):
    """The ledger does not know the user, or neither it nor its audit log does."""

    code = "user_not_found"


class InvalidAdmin(InvalidInput):
    code = "invalid_admin"


class InvalidReason(InvalidInput):
    code = "invalid_reason"


class InvalidSettings(ReconcileError):
    """A setting is missing or wrong; the message names each one."""

    code = "invalid_settings"


class InvocationFailed(ReconcileError):
    """Stands for an error that nobody foresaw, where its own text might show a secret."""


# -- the contract's side ----------------------------------------------------------------------


class ContractError(ReconcileError):
    """The contract could not be asked, or its answer cannot be used."""

    code = "contract_error"


class ContractUnreachable(ContractError):
    code = "contract_unreachable"
    retryable = True


class ContractTimeout(ContractError):
    code = "contract_timeout"
    retryable = True


class ContractRateLimited(ContractError):
    code = "contract_rate_limited"
    retryable = True


class ContractHeightUnavailable(ContractError):
    """The node does not have the block: it is behind, or has pruned it."""

    code = "contract_height_unavailable"
    retryable = True


class ContractNotDeployed(ContractError):
    code = "contract_not_deployed"


class ContractFunctionMissing(ContractError):
    code = "contract_function_missing"


class ContractScriptInvalid(ContractError):
    """The balance script itself cannot run, whoever is asked about."""

    code = "contract_script_invalid"


class ContractScriptFailed(ContractError):
    """The script ran and aborted: for a single user, that user's query failed."""

    code = "contract_query_failed"


class ContractLimitExceeded(ContractError):
    """The script or its message is too large: fewer users may fit."""

    code = "contract_limit_exceeded"


class ContractBadAnswer(ContractError):
    """The script did not answer with one balance per user, or an event does not name its user."""

    code = "contract_bad_answer"


class EventGapTooLarge(ReconcileError):
    """So many blocks since the last run that looking at everyone is cheaper than their events."""

    code = "event_gap_too_large"


# -- the ledger's side ------------------------------------------------------------------------


class LedgerError(ReconcileError):
    """The ledger could not be read or refused a write; a write that raised changed nothing."""

    code = "ledger_error"


class LedgerUnreachable(LedgerError):
    code = "ledger_unreachable"
    retryable = True


class LedgerTimeout(LedgerError):
    code = "ledger_timeout"
    retryable = True


class LedgerLockTimeout(LedgerError):
    code = "ledger_lock_timeout"
    retryable = True


class LedgerConstraintViolation(LedgerError):
    code = "ledger_constraint_violation"


class LedgerInvalidValue(LedgerError):
    code = "ledger_invalid_value"


class InvalidLedgerBalance(LedgerError):
    """The stored balance is NULL, or no amount in units of 1e-8 FLOW."""

    code = "invalid_ledger_balance"


class LedgerUnauthorized(LedgerError):
    code = "ledger_unauthorized"


class LedgerProcedureMissing(LedgerError):
    code = "ledger_procedure_missing"


class LedgerBadAnswer(LedgerError):
    code = "ledger_bad_answer"


MOVED = frozenset({"stale_height", "changed_meanwhile"})
"""The procedure's codes for a row that moved between read and write: read both sides again."""


class UserHeld(ReconcileError):
    """The balances differ, and an admin holds the user: nothing is corrected until a release."""

    code = "user_held"

    def __init__(self, user_address: str) -> None:
        super().__init__(
            f"an admin holds {user_address}",
            remedy=f"Let corrections go on with: reconcile release {user_address}",
        )


class LedgerRefused(LedgerError):
    """The procedure answered `success: false`; its own code says why."""

    def __init__(self, fault: str, *, remedy: str, code: str) -> None:
        super().__init__(fault, remedy=remedy)
        self.code = code
        self.retryable = code in MOVED


# -- a sweep as a whole -----------------------------------------------------------------------


class SweepHalted(ReconcileError):
    """The safety stop: what the scan found is too bad to be drift. Nothing was written."""

    code = "sweep_halted"


# -- stored runs ------------------------------------------------------------------------------


class RunActive(ReconcileError):
    """Another run that writes is not finished yet; one at a time may be active."""

    code = "run_active"
    retryable = True


class RunNotFound(InvalidInput):
    code = "run_not_found"


class RunNotApplicable(InvalidInput):
    """The run has no plan that could be carried out, or is in a state that does not allow it."""

    code = "run_not_applicable"


class ChunkGaveUp(ReconcileError):
    """A chunk has failed as often as it may; its users could not be looked at."""

    code = "chunk_gave_up"


class QueueError(ReconcileError):
    """The queue did not take a message; the next tick sends it."""

    code = "queue_error"
    retryable = True


class InvalidMessage(ReconcileError):
    """A queue's message names neither a chunk nor users; delivering it again would not help."""

    code = "invalid_message"


class UsersUnsettled(ReconcileError):
    """Some of the users that were named could not be reconciled yet; the others are."""

    code = "users_unsettled"
    retryable = True


# -- people who sign in -----------------------------------------------------------------------


class SignInRefused(ReconcileError):
    """No such account, another password, or an account that may not sign in: which is not said."""

    code = "sign_in_refused"


class SignInUnreachable(ReconcileError):
    """Whoever keeps the accounts does not answer."""

    code = "sign_in_unreachable"
    retryable = True


# -- reports that are kept --------------------------------------------------------------------


class ReportStoreError(ReconcileError):
    """The store took no report, or gave no link to one; what was reported on is not affected."""

    code = "report_store_error"
    retryable = True


# -- people who are told ----------------------------------------------------------------------


class AlertNotDelivered(ReconcileError):
    """A channel did not take a message; it is tried again."""

    code = "alert_not_delivered"
    retryable = True


def may_pass(code: str | None) -> bool:
    """Is this the code of an error that a retry may help with?"""
    return code in MOVED or code in _retryable_codes(ReconcileError)


def _retryable_codes(kind: type[ReconcileError]) -> set[str]:
    codes = {kind.code} if kind.retryable else set()
    return codes.union(*(_retryable_codes(each) for each in kind.__subclasses__()))
