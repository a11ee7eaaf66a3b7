"""An Idempotency in memory, as the procedures of 012 behave."""

from dataclasses import dataclass, replace
from uuid import UUID

from shared.core.errors import LedgerUnreachable
from shared.core.keyed_request import Begun, KeyedRequest, RequestState
from tests.fakes.fake_clock import FakeClock


@dataclass(frozen=True)
class Row:
    payload_hash: str
    token: UUID
    leased_until_s: float
    expires_at_s: float
    status: int | None = None
    body: str | None = None


class FakeIdempotency:
    """Implements the port `Idempotency`; `rows` has what a database would."""

    def __init__(self, clock: FakeClock) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}
        self._clock = clock
        self._is_down = False

    def break_down(self) -> None:
        """The next call fails."""
        self._is_down = True

    def begin(self, request: KeyedRequest, *, ttl_s: float, lease_s: float) -> Begun:
        self._fail()
        now_s = self._clock.monotonic_s()
        leased = Row(request.payload_hash, request.token, now_s + lease_s, now_s + ttl_s)
        row = self.rows.get(_name(request))
        if row is None or row.expires_at_s <= now_s:
            self.rows[_name(request)] = leased
            return Begun(state=RequestState.NEW)
        if row.payload_hash != request.payload_hash:
            return Begun(state=RequestState.MISMATCH)
        if row.status is not None:
            return Begun(state=RequestState.DONE, status=row.status, body=row.body)
        if row.token != request.token and row.leased_until_s > now_s:
            return Begun(state=RequestState.IN_FLIGHT, wait_s=row.leased_until_s - now_s)
        expires_at_s = max(row.expires_at_s, leased.leased_until_s)
        self.rows[_name(request)] = replace(leased, expires_at_s=expires_at_s)
        return Begun(state=RequestState.NEW)

    def finish(self, request: KeyedRequest, *, status: int, body: str) -> bool:
        self._fail()
        row = self.rows.get(_name(request))
        if row is None or row.token != request.token:
            return False
        self.rows[_name(request)] = replace(row, status=status, body=body)
        return True

    def abandon(self, request: KeyedRequest) -> None:
        self._fail()
        row = self.rows.get(_name(request))
        if row is not None and row.token == request.token and row.status is None:
            del self.rows[_name(request)]

    def _fail(self) -> None:
        if self._is_down:
            self._is_down = False
            raise LedgerUnreachable("the database is down", remedy="Try again.")


def _name(request: KeyedRequest) -> tuple[str, str, str]:
    return request.function, request.actor, request.key
