"""What leaves for the browser and has to come back as it was, signed by the session secret."""

import hashlib
import hmac
from typing import Any

from itsdangerous import BadData, URLSafeSerializer


class Signer:
    """Signs values for one `purpose`; what was signed for one is worth nothing for another."""

    def __init__(self, secret: str, purpose: str) -> None:
        self._serializer = URLSafeSerializer(
            secret,
            salt=f"balance-reconciliation.{purpose}",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, value: Any) -> str:
        """A JSON value as a text fit for a cookie: readable by its owner, not changeable."""
        return str(self._serializer.dumps(value))

    def read(self, text: str) -> Any:
        """The value, or None for a text that was not signed here for this purpose."""
        try:
            return self._serializer.loads(text)
        except BadData:
            return None


def keyed_digest(secret: str, purpose: str, *parts: str) -> str:
    """HMAC-SHA256 in hex over texts, none of which may run into the next."""
    message = "".join(f"{len(part)}:{part}" for part in (purpose, *parts))
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
