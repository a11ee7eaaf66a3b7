"""How far the scheduled verification is, in memory."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.ports.audit_round import AuditRound
from shared.ports.clock import Clock


class FakeAuditRoundStore:
    """Implements the port `AuditRoundStore`."""

    def __init__(self, clock: Clock) -> None:
        self.round: AuditRound | None = None
        self._token: UUID | None = None
        self._clock = clock

    def get(self) -> AuditRound | None:
        return self.round

    def keep(self, step: int, token: UUID, found: dict[str, Any], *, begins: bool) -> bool:
        was, now = self.round, self._clock.now()
        at = 0 if was is None else was.step
        if at != step:
            return (at, self._token) == (step + 1, token)
        found = json.loads(json.dumps(found))
        if was is None:
            was = AuditRound(step=0, started_at=now, kept_at=now, found=found, last_found=None)
        elif begins:
            is_over = was.found["after"] is None
            last_found = was.found if is_over else was.last_found
            was = replace(was, started_at=now, last_found=last_found)
        self.round = replace(was, step=step + 1, kept_at=now, found=found)
        self._token = token
        return True
