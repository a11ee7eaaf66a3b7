"""The registry of operations: one for each method of each HTTP function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic import BaseModel

from functions.reconcile_user import ReconcileUserBody
from functions.sweep import SweepBody
from shared.http.indexer_events import EventBlock, FlowEvent
from tools.openapi.answers import Message, Report, Result, Tick
from tools.openapi.problems import (
    BODY,
    CALLER,
    CONTRACT,
    ENTRY,
    FORMAT,
    KEY,
    LEDGER,
    MESSAGE,
    RUN,
    USER,
    ProblemCode,
    as_unavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answers`: status → model, None without a body; `text_types` are other representations.

    `bodies`: where there are several, a list of any of them is taken too. `fields` says more of
    the first one's fields than their types do. `is_signed`: a webhook, not for admins.
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
        function="dry_run_report",
        method="get",
        summary="What a sweep would change now",
        description="Writes no balance and no audit row. The run is stored, and can be applied by "
        "its runId.",
        answers={HTTPStatus.OK: Report},
        text_types=("text/csv",),
        formats=("json", "csv"),
        problems=_REPORT_PROBLEMS,
    ),
    Operation(
        function="dry_run_report",
        method="head",
        summary="Check a request for the report without making it",
        answers={HTTPStatus.OK: None},
        formats=("json", "csv"),
        problems=_REPORT_PROBLEMS,
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
