"""What people are told of: a condition that holds, from its first notice until its recovery."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AlertKind(StrEnum):
    """The conditions that are watched; at most one alert of each is open."""

    RUN_DISCREPANCIES = "run_discrepancies"
    """A run found users who were not in sync, or could not read them."""
    RUN_HALTED = "run_halted"
    """The safety stop ended a run before it wrote."""
    RUN_FAILED = "run_failed"
    """A run ended by an error."""
    SWEEP_OVERDUE = "sweep_overdue"
    """No run has covered the ledger for too long."""
    SOLVENCY_MISMATCH = "solvency_mismatch"
    """Ledger, vault and contract total do not agree."""
    SOLVENCY_UNREADABLE = "solvency_unreadable"
    """One of them could not be read: an outage, not an insolvency."""
    AUDIT_BROKEN = "audit_broken"
    """Audit rows were altered, removed or inserted."""


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition that holds now.

    While `state` stays the same nobody is told again. `summary` is one sentence: what is wrong and
    how much. `facts` are shown as a list, label → value, in order. `remedy` says what to do first.
    """

    kind: AlertKind
    severity: Severity
    state: str
    summary: str
    remedy: str
    facts: Mapping[str, str] = field(default_factory=dict)
