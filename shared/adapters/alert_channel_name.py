"""What a channel is called where everybody may read it."""

import hashlib
import re

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)


def channel_name(address: str) -> str:
    """The address's scheme and 8 hex digits of its SHA-256, such as `slack-5e6f7a8b`."""
    scheme = _SCHEME.match(address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    return f"{scheme[0].lower() if scheme else 'channel'}-{digest}"
