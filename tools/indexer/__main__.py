"""`python -m tools.indexer --url URL [--state FILE] [--from-height N] [--poll-s S]`.

Follows the contract of the settings and tells its events to the webhook at URL, signed with the
first of RECONCILE_WEBHOOK_SECRETS. Where it is, is kept in FILE, so that it goes on from there.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from shared.core.errors import InvalidSettings
from shared.settings import Settings, settings
from tools.indexer import Bookmark, BookmarkError, EventChain, Indexer, Refused, WebhookSender

DEFAULT_STATE = Path(".indexer.json")


def main() -> int:
    """Follows until Ctrl-C or SIGTERM. Returns 0 then, 1 if it cannot go on."""
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        _follow(settings(), arguments, stop)
    except (InvalidSettings, BookmarkError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _follow(config: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    if not config.reconcile_webhook_secrets:
        raise InvalidSettings(
            "RECONCILE_WEBHOOK_SECRETS is not set", remedy="Set it as for the webhook."
        )
    secret = config.reconcile_webhook_secrets[0].get_secret_value()
    sender = WebhookSender(arguments.url, secret, tell=_tell)
    try:
        with EventChain(config) as chain:
            bookmark = Bookmark(arguments.state)
            indexer = Indexer(chain, sender, bookmark, poll_s=arguments.poll_s, tell=_tell)
            indexer.run(stop, arguments.from_height)
    finally:
        sender.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.indexer",
        description="Tells the contract's events to the webhook, each at least once.",
    )
    parser.add_argument("--url", required=True, help="where the webhook is")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, help="default: %(default)s")
    parser.add_argument(
        "--from-height", type=int, help="the first block, without a state; default: the next one"
    )
    parser.add_argument("--poll-s", type=float, default=1.0, help="default: %(default)s")
    return parser.parse_args()


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
