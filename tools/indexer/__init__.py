"""An indexer for the local stack: follows the contract's events and tells them to the webhook.

`python -m tools.indexer --url URL` runs it alone; `Indexer` is for a process that has more to do.
"""

from tools.indexer.bookmark import Bookmark, BookmarkError
from tools.indexer.chain import EventChain
from tools.indexer.follow import Indexer
from tools.indexer.send import Refused, WebhookSender

__all__ = ["Bookmark", "BookmarkError", "EventChain", "Indexer", "Refused", "WebhookSender"]
