"""What tests of HTTP functions share: an environment, and a fake in the place of the services."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared import bootstrap
from shared.core.access import ApiKey, Role, key_digest

KEY = "test-key-0123456789-0123456789-0123456789"
NAME = "tester"
"""Whose key that is: an admin's."""
SECRET = "eyJhbGciOi-service-role-secret"

_ENVIRONMENT = {
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_SERVICE_ROLE_KEY": SECRET,
    "FLOW_ACCESS_NODE": "127.0.0.1:9",
    "FLOW_CONTRACT_ADDRESS": "0xf8d6e0586b0a20c7",
    "RECONCILE_API_KEYS": ApiKey(NAME, Role.ADMIN, key_digest(KEY)).line(),
    "RECONCILE_REQUESTS_PER_MIN": "0",  # the limit is counted in a database
    # functions_framework.create_app leaves these behind.
    "FUNCTION_TARGET": "",
    "FUNCTION_SIGNATURE_TYPE": "http",
}


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, services: object | None = None) -> Iterator[None]:
    """Valid settings whose servers nobody runs; `services` stand in for the real ones if given."""
    for name, value in _ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    bootstrap.reset()
    with monkeypatch.context() as patch:
        if services is not None:
            patch.setattr(bootstrap, "services", lambda: services)
        yield
    bootstrap.reset()
