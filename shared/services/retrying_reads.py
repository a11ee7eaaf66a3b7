"""A port that only reads, asked again when a retry may help."""

from functools import wraps
from typing import Any, TypeVar, cast

from shared.ports.clock import Clock
from shared.services.retry import Backoff, with_retry

Port = TypeVar("Port")


def retrying_reads(port: Port, clock: Clock, backoff: Backoff | None = None) -> Port:
    """The same port, with retries of every method."""
    return cast(Port, _Retrying(port, clock, backoff or Backoff()))


class _Retrying:
    def __init__(self, port: object, clock: Clock, backoff: Backoff) -> None:
        self._port = port
        self._clock = clock
        self._backoff = backoff

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        @wraps(method)
        def retried(*args: Any, **kwargs: Any) -> Any:
            return with_retry(lambda: method(*args, **kwargs), self._clock, self._backoff)

        return retried
