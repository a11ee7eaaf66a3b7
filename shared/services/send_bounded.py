"""Send several messages at once, none of them for longer than it may take."""

import time
from collections.abc import Callable, Sequence
from threading import Thread

from shared.core.errors import ReconcileError

Sending = Callable[[], None]
"""Sends one message, or raises why it could not."""


def send_bounded(sendings: Sequence[Sending], send_s: float) -> list[str | None]:
    """For each None, or why it was not sent; never raises.

    One that is still at work after `send_s` counts as failed and is left alone: it may get through
    later, and then a message comes twice.
    """
    attempts = [_Attempt(sending) for sending in sendings]
    ends_s = time.monotonic() + send_s
    for attempt in attempts:
        attempt.join(max(0.0, ends_s - time.monotonic()))
    return [
        f"it took longer than {send_s:g} s" if attempt.is_alive() else attempt.fault
        for attempt in attempts
    ]


class _Attempt(Thread):
    """A thread that the process need not wait for when it ends."""

    def __init__(self, sending: Sending) -> None:
        super().__init__(name="send-alert", daemon=True)
        self._sending = sending
        self.fault: str | None = None
        self.start()

    def run(self) -> None:
        try:
            self._sending()
        except ReconcileError as error:
            self.fault = str(error)
        except Exception as error:
            # Its text may show the channel's secrets.
            self.fault = f"an unexpected {type(error).__name__}"
