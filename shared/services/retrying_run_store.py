"""A run store that is asked again when a retry may help: every call of the port may be repeated."""

from functools import wraps
from typing import Any, cast

from shared.core.errors import RunActive
from shared.ports.clock import Clock
from shared.ports.run_store import RunStore
from shared.services.retry import Backoff, with_retry


def retrying_run_store(store: RunStore, clock: Clock, backoff: Backoff | None = None) -> RunStore:
    """The same store, with retries. That another run is active is an answer, not a failure."""
    return cast(RunStore, _Retrying(store, clock, backoff or Backoff()))


class _Retrying:
    def __init__(self, store: RunStore, clock: Clock, backoff: Backoff) -> None:
        self._store = store
        self._clock = clock
        self._backoff = backoff

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        @wraps(method)
        def retried(*args: Any, **kwargs: Any) -> Any:
            return with_retry(
                lambda: method(*args, **kwargs), self._clock, self._backoff, unless=(RunActive,)
            )

        return retried
