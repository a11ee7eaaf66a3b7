"""An alert store that is asked again when a retry may help: every call may be repeated."""

from functools import wraps
from typing import Any, cast

from shared.ports.alerts import AlertStore
from shared.ports.clock import Clock
from shared.services.retry import Backoff, with_retry


def retrying_alert_store(
    store: AlertStore, clock: Clock, backoff: Backoff | None = None
) -> AlertStore:
    """The same store, with retries."""
    return cast(AlertStore, _Retrying(store, clock, backoff or Backoff()))


class _Retrying:
    def __init__(self, store: AlertStore, clock: Clock, backoff: Backoff) -> None:
        self._store = store
        self._clock = clock
        self._backoff = backoff

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        @wraps(method)
        def retried(*args: Any, **kwargs: Any) -> Any:
            return with_retry(lambda: method(*args, **kwargs), self._clock, self._backoff)

        return retried
