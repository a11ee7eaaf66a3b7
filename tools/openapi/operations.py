"""The registry of operations: one for each method of each HTTP function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic import BaseModel

from functions.holds import HoldBody
from functions.reconcile_user import ReconcileUserBody
from functions.rollback import RollbackBody
from functions.solvency import SolvencyBody
from functions.sweep import SweepBody
from functions.verify_audit import VerifyAuditBody
from shared.http.indexer_events import EventBlock, FlowEvent
from tools.openapi.answers import (
    AnyReport,
    AuditVerification,
    HoldChange,
    Holds,
    Message,
    Report,
    Result,
    RolledBack,
    SolvencyCheck,
    SolvencyChecks,
    Tick,
    Watched,
)
from tools.openapi.problems import (
    BODY,
    CALLER,
    CONTRACT,
    ENTRY,
    FORMAT,
    HOLD,
    KEY,
    KEY_OF_USER,
    LEDGER,
    MESSAGE,
    QUERY,
    REASON,
    REPORT,
    ROLLBACK,
    RUN,
    STORED,
    USER,
    ProblemCode,
    as_unavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answers`: status → model, None without a body; `text_types` are other representations.

    `bodies`: where there are several, a list of any of them is taken too. `fields` says more of
    the first one's fields than their types do. `query`: parameter → description and schema.
    `is_signed`: a webhook, not for admins.
    """

    function: str
    method: str
    summary: str
    description: str = ""
    bodies: tuple[type[BaseModel], ...] = ()
    answers: Mapping[HTTPStatus, type[BaseModel] | None]
    text_types: tuple[str, ...] = ()
    problems: tuple[ProblemCode, ...]
    takes_key: bool = False
    is_signed: bool = False
    formats: tuple[str, ...] = ()
    query: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    example: Mapping[str, object] = field(default_factory=dict)


_READ = ENTRY + CALLER + LEDGER + CONTRACT
_WRITE = _READ + BODY + KEY
_ADMIN = {
    "description": "Whom the audit row names, `<adminAddress> by <caller>`; only the role delegate "
    "may say so. The caller if left out or null."
}
_ADDRESS = {
    "description": "A Flow address; the ledger's row may be another spelling of it.",
    "pattern": "^(0x)?[0-9a-fA-F]{16}$",
}
_PAYLOAD = {
    "type": "Event",
    "value": {
        "id": "A.f8d6e0586b0a20c7.OverflowGame.Deposited",
        "fields": [
            {"name": "userAddress", "value": {"type": "Address", "value": "0xf8d6e0586b0a20c7"}},
            {"name": "amount", "value": {"type": "UFix64", "value": "1.00000000"}},
        ],
    },
}
_REPORT_PROBLEMS = _READ + FORMAT + RUN

_REPORT_QUERY: Mapping[str, Mapping[str, object]] = {
    "kind": {
        "description": "What it is a report of.",
        "required": True,
        "schema": {"type": "string", "enum": ["run", "period", "user"]},
    },
    "runId": {
        "description": "With kind=run: the run's id, or latest.",
        "schema": {"type": "string"},
    },
    "since": {
        "description": "With kind=period: from then on. A date is its first moment in UTC.",
        "schema": {"type": "string"},
    },
    "until": {
        "description": "With kind=period: before then; now if left out.",
        "schema": {"type": "string"},
    },
    "userAddress": {
        "description": "With kind=user: the user, in any spelling of the address.",
        "schema": {"type": "string"},
    },
}

OPERATIONS = (
    Operation(
        function="reconcile_user",
        method="post",
        summary="Correct one user's ledger balance to the contract's",
        description="Writes an audit row in the name of the caller. Asking again is safe: it finds "
        "the balances in sync.",
        bodies=(ReconcileUserBody,),
        fields={"userAddress": _ADDRESS, "adminAddress": _ADMIN},
        example={"userAddress": "0xf8d6e0586b0a20c7"},
        answers={HTTPStatus.OK: Result},
        problems=_WRITE + USER,
        takes_key=True,
    ),
    Operation(
        function="rollback",
        method="post",
        summary="Take back one correction, or all of a run",
        description="Each balance goes back to what the correction had found, by an audit row of "
        "its own, and its user is held. 202 while a run has more: call again with after set to "
        "through, with another Idempotency-Key if any. What is rolled back already stays so.",
        bodies=(RollbackBody,),
        fields={
            "auditId": {"description": "The correction of this audit row."},
            "runId": {"description": "All corrections of this run, which must have ended."},
            "after": {"description": "With runId: only users after this key."},
            "reason": {"description": "Kept in the audit rows and with the holds."},
            "dryRun": {"description": "Say what would happen, and write nothing."},
            "adminAddress": _ADMIN,
        },
        example={"auditId": "4711", "reason": "the deposit is disputed, ticket 12"},
        answers={HTTPStatus.OK: RolledBack, HTTPStatus.ACCEPTED: RolledBack},
        problems=ENTRY + CALLER + LEDGER + BODY + KEY + REASON + ROLLBACK,
        takes_key=True,
    ),
    Operation(
        function="holds",
        method="get",
        summary="Whom admins keep corrections away from",
        query={
            "limit": {
                "description": "How many.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            },
            "after": {
                "description": "Only users after this key.",
                "schema": {"type": "string"},
            },
        },
        answers={HTTPStatus.OK: Holds},
        problems=ENTRY + CALLER + LEDGER + QUERY + KEY_OF_USER,
    ),
    Operation(
        function="holds",
        method="post",
        summary="Hold a user, or release one",
        description="A held user is compared and never corrected; the app's own events go on. "
        "Asking again is safe: outcome says whether anything was changed.",
        bodies=(HoldBody,),
        fields={
            "userAddress": {"description": "The user, in any spelling of the address."},
            "action": {"description": "hold or release."},
            "reason": {"description": "Kept with the hold; a release may be without."},
            "adminAddress": _ADMIN,
        },
        example={"userAddress": "0xf8d6e0586b0a20c7", "action": "hold", "reason": "ticket 12"},
        answers={HTTPStatus.OK: HoldChange},
        problems=ENTRY + CALLER + LEDGER + BODY + REASON + HOLD,
    ),
    Operation(
        function="sweep",
        method="post",
        summary="Start a run over the ledger, or go on with the one that is unfinished",
        description="202 while there is work left: call it again, with another Idempotency-Key "
        "if any. A dry run writes no balance and no audit row.",
        bodies=(SweepBody,),
        fields={
            "dryRun": {"description": "Find, and correct nobody."},
            "incremental": {
                "description": "Look at the users whom the contract's events name, and at a "
                "rotating part of the others."
            },
            "adminAddress": _ADMIN,
        },
        example={"incremental": True},
        answers={HTTPStatus.OK: Tick, HTTPStatus.ACCEPTED: Tick},
        problems=_WRITE + RUN,
        takes_key=True,
    ),
    Operation(
        function="solvency",
        method="post",
        summary="Does the escrow vault cover what the ledger promises? Check now",
        description="Writes no balance. The check is stored; a mismatch that lasts has an audit "
        "row and alerts. One that is not confirmed had no time to be looked at again: ask later.",
        bodies=(SolvencyBody,),
        fields={"adminAddress": _ADMIN},
        answers={HTTPStatus.OK: SolvencyCheck},
        problems=ENTRY + CALLER + LEDGER + BODY,
    ),
    Operation(
        function="solvency",
        method="get",
        summary="The solvency checks that are stored, the newest first",
        query={
            "limit": {
                "description": "How many.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1},
            },
            "before": {
                "description": "Those that were made before the check of this checkId.",
                "schema": {"type": "string", "format": "uuid"},
            },
        },
        answers={HTTPStatus.OK: SolvencyChecks},
        problems=ENTRY + CALLER + LEDGER + QUERY,
    ),
    Operation(
        function="verify_audit",
        method="post",
        summary="Look through the audit log, and tell people",
        description="What a schedule calls: goes on with the round that the last call left "
        "unfinished, or begins one, until the deadline, and answers what the round has found so "
        "far. An alert begins with a fault, and ends when a round is complete and whole.",
        bodies=(VerifyAuditBody,),
        fields={"onlyWriter": {"description": "Nobody but the reconciler writes the ledger."}},
        answers={HTTPStatus.OK: AuditVerification},
        problems=ENTRY + CALLER + LEDGER + BODY,
    ),
    Operation(
        function="verify_audit",
        method="get",
        summary="Is the audit log as it was written?",
        description="Every row's hash and every user's chain is computed anew. Faults are an "
        "answer, with 200. While complete is false, ask again with after, and add up.",
        query={
            "after": {
                "description": "Where an earlier answer left off.",
                "schema": {"type": "string"},
            },
            "until": {
                "description": "The digest is of what was written before; until five minutes ago "
                "if left out. Not with after.",
                "schema": {"type": "string"},
            },
            "onlyWriter": {
                "description": "true: nobody but the reconciler writes the ledger.",
                "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
            },
        },
        answers={HTTPStatus.OK: AuditVerification},
        problems=ENTRY + CALLER + LEDGER + QUERY,
    ),
    Operation(
        function="dry_run_report",
        method="get",
        summary="What a sweep would change now",
        description="Writes no balance and no audit row. The run is stored, and can be applied by "
        "its runId.",
        answers={HTTPStatus.OK: Report, HTTPStatus.SEE_OTHER: None},
        text_types=("text/csv", "application/pdf"),
        formats=("json", "csv", "pdf"),
        problems=_REPORT_PROBLEMS + REPORT[-1:],
    ),
    Operation(
        function="dry_run_report",
        method="head",
        summary="Check a request for the report without making it",
        answers={HTTPStatus.OK: None},
        formats=("json", "csv", "pdf"),
        problems=_REPORT_PROBLEMS,
    ),
    Operation(
        function="report",
        method="get",
        summary="A run, a period or a user, as JSON, CSV or PDF",
        description="303 to a link that is good for five minutes when the report is too large to "
        "be answered and there is a store of reports.",
        query=_REPORT_QUERY,
        answers={HTTPStatus.OK: AnyReport, HTTPStatus.SEE_OTHER: None},
        text_types=("text/csv", "application/pdf"),
        formats=("json", "csv", "pdf"),
        problems=_READ + FORMAT + REPORT,
    ),
    Operation(
        function="report",
        method="head",
        summary="Check a request for a report without making it",
        query=_REPORT_QUERY,
        answers={HTTPStatus.OK: None},
        formats=("json", "csv", "pdf"),
        problems=_READ + FORMAT,
    ),
    Operation(
        function="watchdog",
        method="post",
        summary="Announce ended runs, judge freshness, send alerts that wait",
        description="What a schedule calls every few minutes. Calling it at any time, or twice at "
        "once, does no harm.",
        answers={HTTPStatus.OK: Watched},
        problems=ENTRY + CALLER + LEDGER + STORED,
    ),
    Operation(
        function="indexer_webhook",
        method="post",
        summary="Reconcile the users whom Flow events name",
        description="One event, a block of events as the Access API gives it, or a list of these. "
        "Only who and at which height is taken from them; both balances are read anew. 202 when "
        "the users were queued. Send a message again after a 409 or 503.",
        bodies=(FlowEvent, EventBlock),
        fields={
            "type": {"description": "Of other types than FLOW_EVENTS an event is ignored."},
            "payload": {"description": "JSON-Cadence: as an object, as text, or as base64."},
            "block_height": {"description": "May be left out in a block that has it."},
        },
        example={
            "type": "A.f8d6e0586b0a20c7.OverflowGame.Deposited",
            "block_height": 1,
            "payload": _PAYLOAD,
        },
        answers={HTTPStatus.OK: Message, HTTPStatus.ACCEPTED: Message},
        problems=as_unavailable(ENTRY + LEDGER + CONTRACT + MESSAGE),
        is_signed=True,
    ),
)
