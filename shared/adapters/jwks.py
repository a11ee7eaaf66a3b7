"""The public keys that a Supabase project signs its tokens with, fetched from its JWKS."""

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

import httpx
from jwt import PyJWK, PyJWTError

from shared.core.access import JwksUnreachable
from shared.ports.clock import Clock

_log = logging.getLogger(__name__)

TTL_S = 600.0
"""How long fetched keys are current: a key that is withdrawn is believed for so much longer."""
STALE_S = 3_600.0
"""How long, when they cannot be fetched again, they serve at most."""
REFETCH_S = 30.0
"""Between two fetches at least, so that made-up key ids ask nothing of the project."""
RETRY_S = 5.0
"""Between two fetches at least after one that failed."""
TIMEOUT_S = 3.0
BYTES_MAX = 64 * 1024
RSA_BITS_MIN = 2048

_ALGORITHM_OF = {"EC": "ES256", "RSA": "RS256"}
ALGORITHMS = tuple(_ALGORITHM_OF.values())


class Jwks:
    """Keys by their id. Threads share it; while one fetches, others go on with what is there."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_s: float | None = None
        self._tried_s: float | None = None
        self._failed = False

    def find(self, key_id: str) -> PyJWK | None:
        """The key, fit for its `algorithm_name` alone; None if the project has none such.

        Raises JwksUnreachable.
        """
        if key_id not in self._keys or not self._younger(TTL_S):
            self._refresh(wait=not self._usable(key_id))
        if self._usable(key_id):
            return self._keys[key_id]
        if self._failed:
            raise JwksUnreachable(
                "The keys of the project's tokens cannot be fetched",
                remedy="Check SUPABASE_JWKS_URL and that the project is running, or try again.",
            )
        return None

    def _refresh(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._may_try():
                self._tried_s = self._clock.monotonic_s()
                self._keys = _parse(_fetch(self._url, self._clock))
                self._fetched_s = self._clock.monotonic_s()
                self._failed = False
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            self._failed = True
            _log.warning("The JWKS cannot be fetched: %s", type(error).__name__)
        finally:
            self._lock.release()

    def _may_try(self) -> bool:
        pause_s = RETRY_S if self._failed else REFETCH_S
        return self._tried_s is None or self._clock.monotonic_s() - self._tried_s >= pause_s

    def _usable(self, key_id: str) -> bool:
        return key_id in self._keys and self._younger(STALE_S)

    def _younger(self, age_s: float) -> bool:
        return self._fetched_s is not None and self._clock.monotonic_s() - self._fetched_s < age_s


def _fetch(url: str, clock: Clock) -> bytes:
    """Raises httpx.HTTPError, ValueError. Redirects are not followed."""
    until_s = clock.monotonic_s() + TIMEOUT_S
    body = b""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
        if response.status_code != 200:
            raise ValueError("no JWKS")
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > BYTES_MAX or clock.monotonic_s() > until_s:
                raise ValueError("too large, or too slow")
    return body


def _parse(body: bytes) -> dict[str, PyJWK]:
    """The keys that are fit to check a signature by. Raises ValueError if it is no JWKS at all."""
    document = json.loads(body)
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise ValueError("no JWKS")
    keys = [key for key in map(_public_key, found) if key]
    return {str(key.key_id): key for key in keys}


def _public_key(given: Any) -> PyJWK | None:
    if not isinstance(given, dict) or not isinstance(given.get("kid"), str):
        return None
    # By the kind of key alone. A shared secret ("oct") in a public document is none.
    algorithm = _ALGORITHM_OF.get(str(given.get("kty")))
    if algorithm is None or given.get("alg", algorithm) != algorithm:
        return None
    if "d" in given or given.get("use", "sig") != "sig" or given.get("crv", "P-256") != "P-256":
        return None
    try:
        key = PyJWK(given, algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    return key if algorithm != "RS256" or key.key.key_size >= RSA_BITS_MIN else None
