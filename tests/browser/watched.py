"""Pages that complain: what goes wrong in a browser without anybody seeing it fails the test."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, ViewportSize

TIMEOUT_MS = 30_000
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

_STATUS = re.compile(r"the server responded with a status of (\d{3})")


class Watch:
    """Collects console errors, uncaught errors and failed requests of a context's pages."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.expected: set[int] = set()

    def expect(self, *statuses: int) -> None:
        """From now on, pages that answer with these are meant to."""
        self.expected |= set(statuses)

    def see(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error on the page: {error}"))
        page.on("requestfailed", self._failed)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        status = _STATUS.search(message.text)
        if status is None or int(status[1]) not in self.expected:
            self.faults.append(f"console {message.type}: {message.text} ({message.location})")

    def _failed(self, request: Request) -> None:
        # A page that is left breaks off what it is asking for, and so does a download.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"{request.method} {request.url}: {request.failure}")


@contextmanager
def watched_context(browser: Browser, watch: Watch, **options: object) -> Iterator[BrowserContext]:
    """A context with an empty profile; at the end of the `with` its pages must have no faults."""
    context = browser.new_context(**{"viewport": DESK, **options})  # type: ignore[arg-type]
    context.set_default_timeout(TIMEOUT_MS)
    context.on("page", watch.see)
    try:
        yield context
    finally:
        context.close()
    assert not watch.faults, "\n".join(watch.faults)
