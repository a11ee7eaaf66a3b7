"""POST /: the indexer says which events happened; the users that they name are reconciled.

The message is signed as Standard Webhooks says (`Webhook-Id`, `-Timestamp`, `-Signature`); its body
is Flow events, see `shared.http.indexer_events`. Only addresses and heights are taken from it: both
balances are read anew, the contract's at the events' height or later.

→ 200 `{"events", "ignored", "blockHeight", "users", "queued", "results"}` with one result for each
user; 202 when there are many users and a queue, which then has `queued` messages for them. 503 with
Retry-After asks for the message again: the block is not sealed yet, a side does not answer, or the
time was not enough; who was corrected by then stays so. A replay gets the first answer.
"""

from typing import Any

from flask import Request, Response

from shared.core.address import parse_address
from shared.core.chain_event import event_types
from shared.core.errors import ReconcileError
from shared.core.outcome import ReconciliationResult
from shared.core.user_batch import UserBatch
from shared.http.entry import http_function
from shared.http.indexer_events import NamedUsers, read_events
from shared.http.json_body import check_content_type, parse_json
from shared.http.lambda_http import lambda_handler
from shared.http.problem import Problem
from shared.http.webhook_replay import answered_once
from shared.http.webhook_signature import signed_message
from shared.observe.context import count_results, gauge
from shared.observe.metrics import Metric
from shared.settings import Settings, settings

ADMIN = "indexer"
"""Who the audit row names."""


@http_function(methods=("POST",), permission=None)
def indexer_webhook(request: Request, actor: None) -> Response:  # noqa: ARG001
    """Check the signature, read whom the events name, reconcile once, render."""
    config = settings()
    message_id, body = signed_message(request, config)
    check_content_type(request)
    named = read_events(parse_json(body), _types(config), config.flow_event_user_field)
    try:
        return _answered(message_id, body, named, config)
    except ReconcileError as error:
        if not error.retryable:
            raise
        # Whatever it was, the sender is to try again.
        raise Problem(503, error.code, str(error), retryable=True) from error


def _types(config: Settings) -> frozenset[str]:
    return frozenset(
        event_types(
            config.flow_events,
            contract=config.flow_contract_name,
            address=parse_address(config.flow_contract_address),
        )
    )


def _answered(message_id: str, body: bytes, named: NamedUsers, config: Settings) -> Response:
    from shared.bootstrap import services  # here, because importing both clients takes a second

    return answered_once(
        message_id,
        body,
        lambda: _work(named, config),
        messages=services().webhooks,
        lease_s=max(config.reconcile_lease_s, 2 * config.reconcile_deadline_s),
    )


def _work(named: NamedUsers, config: Settings) -> tuple[int, dict[str, Any]]:
    """Status and answer. Raises Problem, ReconcileError when the message has to come again."""
    from shared.bootstrap import services

    reconciler = services().named_reconciler
    batch = UserBatch(
        user_addresses=named.users, block_height=named.block_height, admin_address=ADMIN
    )
    if len(named.users) > config.reconcile_webhook_inline_users and reconciler.has_queue:
        return 202, _answer(named, queued=reconciler.enqueue(batch))
    return 200, _answer(named, results=_reconciled(batch, config.reconcile_deadline_s))


def _reconciled(batch: UserBatch, left_s: float) -> list[dict[str, Any]]:
    from shared.bootstrap import services
    from shared.services.deadline import before_deadline

    asked_for = services()
    done = asked_for.named_reconciler.reconcile(batch, before_deadline(asked_for.clock, left_s))
    count_results(done.results)
    _note_lag(batch, done.results)
    again = len(done.unsettled) + done.left
    if again:
        reason = done.unsettled[0].error_code if done.unsettled else "the time was not enough"
        raise Problem(
            503,
            "users_unsettled",
            f"{again} of {len(batch.user_addresses)} users could not be reconciled ({reason}), the "
            "others are. Send the message again.",
            retryable=True,
        )
    return [result.as_json() for result in done.results]


def _note_lag(batch: UserBatch, results: list[ReconciliationResult]) -> None:
    heights = [each.block_height for each in results if each.block_height is not None]
    if heights:
        gauge(Metric.LAG_BLOCKS, max(0, max(heights) - batch.block_height))


def _answer(
    named: NamedUsers, *, queued: int = 0, results: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "events": named.events,
        "ignored": named.ignored,
        "blockHeight": named.block_height if named.users else None,
        "users": len(named.users),
        "queued": queued,
        "results": results or [],
    }


handler = lambda_handler(indexer_webhook)
