"""`python -m tools.serve.indexer URL`: tells the contract's events from now on to the webhook."""

import sys
import tempfile
import threading
from pathlib import Path

from shared.settings import Settings, settings
from tools.indexer import Bookmark, EventChain, Indexer, WebhookSender
from tools.serve.part import stop_event

POLL_S = 0.5


def main(url: str) -> None:
    """Follows until SIGTERM. What happened before is the full sweep's at the start."""
    stop = stop_event()
    config = settings()
    sender = WebhookSender(url, config.reconcile_webhook_secrets[0].get_secret_value(), tell=tell)
    try:
        # Not kept: the webhook's secret and the queue are new each time as well.
        with tempfile.TemporaryDirectory(prefix="reconcile-indexer-") as folder:
            follow(config, sender, Bookmark(Path(folder) / "bookmark.json"), stop)
    finally:
        sender.close()


def follow(
    config: Settings, sender: WebhookSender, bookmark: Bookmark, stop: threading.Event
) -> None:
    """Begins at the next block, and says so."""
    with EventChain(config) as chain:
        height = chain.latest_height()
        bookmark.write(height)
        tell(f"following {config.flow_contract_name} from block {height + 1}")
        Indexer(chain, sender, bookmark, poll_s=POLL_S, tell=tell).run(stop)


def tell(line: str) -> None:
    """Shows a line."""
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
