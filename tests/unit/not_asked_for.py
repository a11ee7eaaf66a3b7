"""The use cases that a double of the command's services leaves out."""

from typing import Any


class NotAskedFor:
    """Names them and has none: a command that reaches for one fails its test."""

    holds: Any
    rollbacks: Any
    solvency: Any
    reports: Any
    audit_verifier: Any
