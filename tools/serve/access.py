"""A key, and secrets of the webhook and the dashboard, for this time only, besides the keys of the
environment."""

import base64
import os
import secrets

from shared.core.access import ApiKey, Role, key_digest
from shared.settings import settings

KEY_NAME = "make-serve"


def grant_access() -> str:
    """Makes them, lets this process and those that it starts accept them; returns the key.

    Raises InvalidSettings when the settings are missing or wrong.
    """
    key = secrets.token_urlsafe(32)
    keys = *settings().reconcile_api_keys, ApiKey(KEY_NAME, Role.DELEGATE, key_digest(key))
    os.environ["RECONCILE_API_KEYS"] = ",".join(each.line() for each in keys)
    # The indexer that is started here signs with it; one from elsewhere is not expected.
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    os.environ["RECONCILE_WEBHOOK_SECRETS"] = f"whsec_{secret}"
    os.environ["RECONCILE_SESSION_SECRET"] = secrets.token_urlsafe(32)
    settings.cache_clear()
    return key
