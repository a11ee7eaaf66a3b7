"""The invocation at hand: what its log lines and its metrics are labelled with, and its counts."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID, uuid4

from shared.core.outcome import Outcome, ReconciliationResult
from shared.observe.metrics import COUNTERS, Metric

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,100}")
_AGREED = (Outcome.IN_SYNC, Outcome.FAILED)


@dataclass(slots=True)
class Invocation:
    """One call of a function. Safe to count in from several threads.

    `status` is that of the HTTP answer, `error_code` why the call did not succeed.
    """

    function: str
    request_id: str
    run_id: UUID | None = None
    status: int | None = None
    error_code: str | None = None
    _values: dict[Metric, float] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    _outcomes: Counter[Outcome] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def count(self, metric: Metric, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._values[metric] += number

    def gauge(self, metric: Metric, value: float) -> None:
        """Set what is no counter: a lag, an age."""
        with self._lock:
            self._values[metric] = value

    def count_outcomes(self, outcomes: Mapping[Outcome, int]) -> None:
        """Users by what became of them; `corrected`, `held`, `failed` are metrics too."""
        with self._lock:
            self._outcomes.update(outcomes)
            self._values[Metric.CORRECTED] += outcomes.get(Outcome.CORRECTED, 0)
            self._values[Metric.HELD] += outcomes.get(Outcome.HELD, 0)
            self._values[Metric.FAILED] += outcomes.get(Outcome.FAILED, 0)

    def values(self) -> dict[Metric, float]:
        """All counters, and what else was set."""
        with self._lock:
            return dict(self._values)

    def outcomes(self) -> dict[str, int]:
        """The users counted, by outcome."""
        with self._lock:
            return {str(outcome): number for outcome, number in self._outcomes.items() if number}


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """The invocation that this code runs in; None outside of the functions."""
    return _current.get()


@contextmanager
def entered(invocation: Invocation) -> Iterator[None]:
    """Make it the current one."""
    token = _current.set(invocation)
    try:
        yield
    finally:
        _current.reset(token)


def count_results(results: Iterable[ReconciliationResult]) -> None:
    """Count users who were looked at one by one, outside of any run."""
    if (invocation := current()) is None:
        return
    outcomes = Counter(result.outcome for result in results)
    invocation.count(Metric.USERS_CHECKED, outcomes.total())
    invocation.count(
        Metric.DISCREPANCIES, outcomes.total() - sum(outcomes[each] for each in _AGREED)
    )
    invocation.count_outcomes(outcomes)


def gauge(metric: Metric, value: float) -> None:
    """Set what is no counter for the call at hand."""
    if (invocation := current()) is not None:
        invocation.gauge(metric, value)


def note_error(code: str) -> None:
    """Say why the call at hand does not succeed."""
    if (invocation := current()) is not None:
        invocation.error_code = code


def note_run(run_id: UUID) -> None:
    """Say which run the call at hand works on."""
    if (invocation := current()) is not None:
        invocation.run_id = run_id


def is_request_id(text: str) -> bool:
    """May a caller's id be taken over as it is: 1 to 100 characters that do no harm in a log?"""
    return _REQUEST_ID.fullmatch(text) is not None


def new_request_id() -> str:
    """An id for a call that brought none."""
    return str(uuid4())
