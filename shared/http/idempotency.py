"""The header Idempotency-Key: a request that is sent again is carried out once, and answered twice.

A key is one caller's for one function, for a day from its first use on. Asking again with the same
body gives the first answer with `Idempotency-Replayed: true`; another body is a 422, and asking
while the first is still at work a 409. What may go better another time is not kept: server errors,
and problems that say `retryable`. The key of a request that broke off is free after its lease.
"""

import hashlib
import json
import logging
import math
import re
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import uuid4

from flask import Request, Response

from shared.core.errors import ReconcileError
from shared.core.keyed_request import Begun, KeyedRequest, RequestState
from shared.http.actor import Actor
from shared.http.answers import JSON_TYPE
from shared.http.entry import AdminView
from shared.http.json_body import json_value
from shared.http.problem import PROBLEM_TYPE, RETRY_AFTER_S, Problem
from shared.http.statuses import problem_of
from shared.ports.requests import Idempotency
from shared.settings import settings

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEY_CHARS_MAX = 200
TTL_S = 24 * 3600.0
LEASE_MARGIN_S = 60.0
"""What a request may take beyond RECONCILE_DEADLINE_S: the calls it is in, with their retries."""

_KEY = re.compile(rf"[\x20-\x7e]{{1,{KEY_CHARS_MAX}}}")

_log = logging.getLogger(__name__)


def idempotent(view: AdminView) -> AdminView:
    """Let callers of a view that writes repeat a request under its key; without a key, as before.

    Goes inside `http_function`, which checks the caller first. The body must be JSON.
    """

    @wraps(view)
    def once(request: Request, actor: Actor) -> Response:
        given = request.headers.get(KEY_HEADER)
        if given is None:
            return view(request, actor)
        keyed = KeyedRequest(
            function=view.__name__,
            actor=actor.id,
            key=_checked(given),
            payload_hash=_payload_hash(json_value(request)),
            token=uuid4(),
        )
        return _once(keyed, lambda: view(request, actor))

    return once


def _checked(given: str) -> str:
    key = given.strip(" ")
    if not _KEY.fullmatch(key):
        raise Problem(
            400,
            "invalid_idempotency_key",
            f"The header {KEY_HEADER} is not 1 to {KEY_CHARS_MAX} printable ASCII characters. "
            "Send a UUID, for example.",
        )
    return key


def _payload_hash(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _once(request: KeyedRequest, carry_out: Callable[[], Response]) -> Response:
    from shared.bootstrap import services  # here, because importing both clients takes a second

    requests = services().idempotency
    begun = requests.begin(
        request, ttl_s=TTL_S, lease_s=settings().reconcile_deadline_s + LEASE_MARGIN_S
    )
    if begun.state is not RequestState.NEW:
        return _known_already(begun)
    try:
        response = _answered(carry_out)
    except BaseException:
        _abandon(requests, request)
        raise
    _keep(requests, request, response)
    return response


def _known_already(begun: Begun) -> Response:
    if begun.state is RequestState.MISMATCH:
        raise Problem(
            422,
            "idempotency_key_reused",
            f"The {KEY_HEADER} came with another body before. Send a new key for a new request.",
        )
    if begun.state is RequestState.IN_FLIGHT:
        raise Problem(
            409,
            "idempotency_key_in_flight",
            f"The first request with this {KEY_HEADER} is still at work. Ask again later.",
            retryable=True,
            headers={"Retry-After": str(max(1, min(RETRY_AFTER_S, math.ceil(begun.wait_s))))},
        )
    return _replayed(begun)


def _replayed(begun: Begun) -> Response:
    response = Response(begun.body, begun.status, headers={REPLAYED_HEADER: "true"})
    response.content_type = JSON_TYPE if response.status_code < 400 else PROBLEM_TYPE
    return response


def _answered(carry_out: Callable[[], Response]) -> Response:
    """The view's response, a final refusal among them; raises what may go better another time."""
    try:
        return carry_out()
    except ReconcileError as error:
        problem = problem_of(error.code, str(error))
        if not _is_final(problem):
            raise
        return problem.response()
    except Problem as problem:
        if not _is_final(problem):
            raise
        return problem.response()


def _is_final(problem: Problem) -> bool:
    return problem.status < 500 and not problem.retryable


def _keep(requests: Idempotency, request: KeyedRequest, response: Response) -> None:
    """What was done is done: the caller gets the answer whether or not it can be stored."""
    body = response.get_data(as_text=True)
    try:
        if not requests.finish(request, status=response.status_code, body=body):
            _log.warning("A request with an idempotency key took longer than its lease")
    except ReconcileError as error:
        _log.warning("The answer to an idempotency key is not stored: %s", error)


def _abandon(requests: Idempotency, request: KeyedRequest) -> None:
    try:
        requests.abandon(request)
    except ReconcileError as error:
        _log.warning("An idempotency key is not given back: %s", error)
