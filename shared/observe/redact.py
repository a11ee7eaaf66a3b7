"""Takes secrets out of a text: those of the settings by their value, others by their form."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

REDACTED = "[redacted]"

_VALUE_CHARS_MIN = 8
"""Shorter ones are no secrets, and would tear holes into harmless words."""
_SECRET_NAME = re.compile(r"(KEY|KEYS|SECRET|SECRETS|TOKEN|PASSWORD|ALERT_URLS)$")
_FORMS = (
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]*(\.[\w-]*)?"), REDACTED),  # a JWT, cut off perhaps
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), rf"\1 {REDACTED}"),
    (re.compile(r"whsec_[\w+/=-]+"), REDACTED),
    (re.compile(r"\bsb_(secret|publishable)_[\w-]+"), REDACTED),
    (re.compile(r"(://[^\s:/@]*):[^\s/]+@"), rf"\1:{REDACTED}@"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), REDACTED),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|\Z)", re.S),
        REDACTED,
    ),
    (
        re.compile(
            r"(?i)([\"']?\b(?:api[_-]?key|x-api-key|authorization|password|secret|(?:access|refresh)"
            r"[_-]?token|service_role_key)[\"']?\s*[:=]\s*[\"']?)(?!\[redacted\]|(?:bearer|basic)\s)"
            r"[^\s\"',;&}]+"
        ),
        rf"\1{REDACTED}",
    ),
)


class Redactor:
    """Knows a process's secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(each for each in secrets if len(each) >= _VALUE_CHARS_MIN)
        # The longest first: one may be a part of another.
        spelled = sorted({form for each in self.secrets for form in _spellings(each)}, key=len)
        self._known = re.compile("|".join(map(re.escape, reversed(spelled)))) if spelled else None

    def __call__(self, text: str) -> str:
        """The text with `[redacted]` in the place of every secret."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for form, instead in _FORMS:
            text = form.sub(instead, text)
        return text


def secrets_of(config: BaseModel | None, environment: Mapping[str, str] = os.environ) -> set[str]:
    """The secret settings' values, and the variables that are called secret, valid or not.

    A variable of several, with commas between them, gives each of them as well.
    """
    values = {value for name, value in environment.items() if _SECRET_NAME.search(name.upper())}
    if config is not None:
        for field in type(config).model_fields:
            values.update(_secret_texts(getattr(config, field)))
    return values | {part.strip() for value in values for part in value.split(",")}


def _secret_texts(value: object) -> Iterable[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, tuple | list | set | frozenset):
        return [text for each in value for text in _secret_texts(each)]
    return []


def _spellings(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], ascii(secret)[1:-1]}
