"""The scheduled verification: round after round, each in as many invocations as it needs."""

import logging
from typing import Any, Protocol
from uuid import uuid4

from shared.core.alert import Alert, AlertKind
from shared.core.audit_alert import audit_alert
from shared.core.audit_chain import AuditVerification, verification_from_json
from shared.core.errors import InvalidInput
from shared.ports.audit_round import AuditRound, AuditRoundStore
from shared.services.deadline import ShouldStop
from shared.services.verify_audit import AuditVerifier

_log = logging.getLogger(__name__)


class Observing(Protocol):
    """Who tells people."""

    def observe(self, kind: AlertKind, alert: Alert | None) -> None: ...


class AuditRounds:
    """Goes on with the round that an earlier invocation left unfinished, or begins one.

    What was found is kept after every page, so an invocation that is killed loses no more than one.
    People are told of a fault by the invocation that finds it, and of the end of it only by a round
    that went through everything.
    """

    def __init__(
        self, verifier: AuditVerifier, rounds: AuditRoundStore, alerter: Observing
    ) -> None:
        self._verifier = verifier
        self._rounds = rounds
        self._alerter = alerter

    def go_on(
        self, *, only_writer: bool = False, should_stop: ShouldStop = lambda: False
    ) -> AuditVerification:
        """The round so far, earlier invocations included. Raises LedgerError."""
        part = _Part(self._rounds, self._tell)
        try:
            return self._verifier.verify(
                unfinished=part.unfinished,
                only_writer=only_writer,
                progress=part.keep,
                should_stop=lambda: part.is_lost or should_stop(),
            )
        finally:
            part.tell()

    def _tell(self, found: AuditVerification, last: AuditVerification | None) -> None:
        if found.is_complete or not (found.is_whole or _was_told(found, last)):
            self._alerter.observe(AlertKind.AUDIT_BROKEN, audit_alert(found))


class _Part:
    """What one invocation adds to a round."""

    def __init__(self, rounds: AuditRoundStore, tell: "_Tell") -> None:
        self._rounds = rounds
        self._tell = tell
        self._token = uuid4()
        kept = rounds.get()
        found = None if kept is None else _read(kept.found)
        self._step = 0 if kept is None else kept.step
        self._last = _last(kept, found)
        self.unfinished = None if found is None or found.is_complete else found
        self._begins = self.unfinished is None
        self._untold = self.unfinished
        self.is_lost = False

    def keep(self, so_far: AuditVerification) -> None:
        """A page more was looked at."""
        self._untold = so_far
        if so_far.is_complete:
            # Before it is kept: who dies in between leaves the last page to be looked at again.
            self.tell()
        if self._rounds.keep(self._step, self._token, so_far.as_json(), begins=self._begins):
            self._step += 1
            self._begins = False
        else:
            _log.warning("Another invocation goes on with this round")
            self.is_lost = True

    def tell(self) -> None:
        """Of what was found so far, once."""
        found, self._untold = self._untold, None
        if found is not None:
            self._tell(found, self._last)


class _Tell(Protocol):
    def __call__(self, found: AuditVerification, last: AuditVerification | None, /) -> None: ...


def _read(document: dict[str, Any]) -> AuditVerification | None:
    """None: another version wrote it, in a way of its own."""
    try:
        return verification_from_json(document)
    except InvalidInput:
        _log.warning("What was kept of the last round cannot be read: a new one begins")
        return None


def _last(kept: AuditRound | None, found: AuditVerification | None) -> AuditVerification | None:
    """What the last round that went through everything has found."""
    if found is not None and found.is_complete:
        return found
    return None if kept is None or kept.last_found is None else _read(kept.last_found)


def _was_told(found: AuditVerification, last: AuditVerification | None) -> bool:
    """Are these among the faults of the last round? Then they are no news half way."""
    return (
        last is not None
        and not last.is_whole
        and found.faults <= last.faults
        and set(found.first_faults) <= set(last.first_faults)
        and found.gaps <= last.gaps
        and found.unaudited <= last.unaudited
        and found.unanchored <= last.unanchored
    )
