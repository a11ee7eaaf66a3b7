"""How far the scheduled verification of the audit log is, kept between its invocations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRound:
    """`found`: the round so far, as AuditVerification.as_json; over when its `after` is None.

    `last_found`: the same of the last round that went through everything, None before there was
    one. `step` grows by one each time that the round is kept.
    """

    step: int
    started_at: datetime
    kept_at: datetime
    found: dict[str, Any]
    last_found: dict[str, Any] | None


class AuditRoundStore(Protocol):
    """One round at a time. All may raise LedgerError."""

    def get(self) -> AuditRound | None:
        """The round that was kept last, or None."""

    def keep(self, step: int, token: UUID, found: dict[str, Any], *, begins: bool) -> bool:
        """The round goes on from `step` (0: there was none), or a new one `begins` there.

        False, and nothing is changed, when another token has kept it since.
        """
