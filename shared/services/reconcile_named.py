"""Users whom somebody names, such as the indexer: read both sides once for all, correct at once.

As exact as a single user's reconcile: whatever the tolerance, missing users created, rows that move
between read and write read again. Only who is in sync gets no audit row: a machine asked, and it
asks after every event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from shared.core.address import FlowAddress, spellings
from shared.core.amount import SMALLEST, ZERO, FlowAmount, parse_amount
from shared.core.compare import LedgerPage, compare
from shared.core.confirm import Confirmation
from shared.core.errors import (
    ContractHeightUnavailable,
    InvalidInput,
    InvalidSettings,
    may_pass,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.user_batch import UserBatch
from shared.ports.chunk_queue import ChunkQueue
from shared.ports.clock import Clock
from shared.ports.ledger import Ledger
from shared.services.correct import Corrector, SecondLook
from shared.services.deadline import ShouldStop
from shared.services.read_contract import ContractReader
from shared.services.reconcile_user import RACES_MAX, UserReconciler
from shared.services.retry import Backoff

SEALING_S_MAX = 5.0
"""How long to wait for a block to be sealed, or for a node that is a few blocks behind."""
_SEALING = Backoff(base_s=0.25, cap_s=2.0)
_RACES = Backoff(base_s=0.05, cap_s=1.0)


@dataclass(slots=True)
class NamedResult:
    """`left`: users who were not looked at, for want of time."""

    results: list[ReconciliationResult] = field(default_factory=list)
    left: int = 0

    @property
    def unsettled(self) -> list[ReconciliationResult]:
        """Those with whom it may go better another time."""
        return [
            result
            for result in self.results
            if result.outcome is Outcome.CHANGED_MEANWHILE
            or (result.outcome is Outcome.FAILED and may_pass(result.error_code))
        ]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the ledger holds of some users: under which key, and under that, which balance.

    `alone`: who has to be looked at one by one, because there is more than one row or no amount in
    it. A key of `key_of` that `balances` does not have is one of a user without a row.
    """

    key_of: Mapping[FlowAddress, str]
    balances: Mapping[str, str | None]
    held: frozenset[str]
    alone: Sequence[FlowAddress]

    def page(self) -> LedgerPage:
        absent = [key for key in self.key_of.values() if key not in self.balances]
        return LedgerPage(list(self.balances), list(self.balances.values()), absent, self.held)


class NamedReconciler:
    """Reconciles batches of users, in line or by messages to the queue."""

    def __init__(
        self,
        ledger: Ledger,
        contract: ContractReader,
        users: UserReconciler,
        corrector: Corrector,
        clock: Clock,
        queue: ChunkQueue | None,
    ) -> None:
        self._ledger = ledger
        self._contract = contract
        self._users = users
        self._corrector = corrector
        self._clock = clock
        self._queue = queue

    @property
    def has_queue(self) -> bool:
        """Can `enqueue` be used?"""
        return self._queue is not None

    def enqueue(self, batch: UserBatch) -> int:
        """Have the batch worked from the queue; returns how many messages were sent.

        Raises QueueError: some messages may be in the queue then, and sending all again does no
        harm. Raises InvalidSettings when there is no queue.
        """
        if self._queue is None:
            raise InvalidSettings(
                "RECONCILE_QUEUE_URL: there is no queue to send users to",
                remedy="Set it to the URL of the SQS queue that invokes sweep_chunk.",
            )
        messages = list(batch.parts())
        self._queue.send(messages)
        return len(messages)

    def reconcile(self, batch: UserBatch, should_stop: ShouldStop) -> NamedResult:
        """Correct these users at the batch's height or a later one; one result for each.

        Stops between two parts of the batch when `should_stop` says so. Raises ReconcileError when
        a side cannot be asked at all, ContractHeightUnavailable when the block is still not sealed
        after SEALING_S_MAX; the parts before are done then, and a repetition finds them in sync.
        """
        done = NamedResult()
        for part in batch.parts():
            if should_stop():
                done.left += len(part.user_addresses)
            else:
                done.results += self._part(part)
        return done

    def _part(self, part: UserBatch) -> Iterator[ReconciliationResult]:
        run_id = uuid4()
        users: Sequence[FlowAddress] = part.user_addresses
        for race in range(1, RACES_MAX + 1):
            rows = self._rows(users)
            results = self._reconcile(rows, part, run_id)
            moved = set() if race == RACES_MAX else _moved(results)
            yield from (each for each in results if each.user_address not in moved)
            if not moved:
                return
            users = [user for user, key in rows.key_of.items() if key in moved]
            self._clock.sleep(_RACES.delay_s(race))

    def _rows(self, users: Sequence[FlowAddress]) -> _Rows:
        keys_asked = [key for user in users for key in spellings(user)]
        page = self._ledger.get_balances(keys_asked)
        found = dict(page.rows())
        key_of: dict[FlowAddress, str] = {}
        alone: list[FlowAddress] = []
        for user in users:
            keys = [key for key in spellings(user) if key in found]
            key = user if len(keys) != 1 else keys[0]
            if (len(keys) > 1 and key not in found) or (keys and not _is_amount(found[key])):
                alone.append(user)
            else:
                key_of[user] = key
        balances = {key: found[key] for key in key_of.values() if key in found}
        return _Rows(key_of, balances, page.held, alone)

    def _reconcile(self, rows: _Rows, part: UserBatch, run_id: UUID) -> list[ReconciliationResult]:
        # The height is taken after the ledger was read: what the ledger already contains of the
        # chain is then at or below it.
        height = self._sealed_height(part.block_height)
        admin = part.admin_address
        results = [self._users.reconcile(user, admin, at_least=height) for user in rows.alone]
        contract = self._contract.read(list(rows.key_of), height)
        found = compare(rows.page(), contract, SMALLEST)
        confirmed = Confirmation(
            confirmed=[*found.candidates], held=[*found.held], failures=[*found.failures]
        )
        look = SecondLook(confirmed, height, contract.script_calls)
        results += self._corrector.write(look, admin_address=admin, run_id=run_id)
        told = {each.user_address for each in (*found.candidates, *found.held)}
        told |= {each.user_address for each in found.failures}
        return results + [
            self._in_sync(key, contract.balances[user], height)
            for user, key in rows.key_of.items()
            if key not in told
        ]

    def _in_sync(self, key: str, balance: FlowAmount, height: int) -> ReconciliationResult:
        return ReconciliationResult(
            user_address=key,
            outcome=Outcome.IN_SYNC,
            timestamp=self._clock.now(),
            old_balance=balance,
            new_balance=balance,
            discrepancy=ZERO,
            block_height=height,
        )

    def _sealed_height(self, at_least: int) -> int:
        give_up_at_s = self._clock.monotonic_s() + SEALING_S_MAX
        attempt = 0
        while True:
            try:
                return self._contract.latest_height(at_least=at_least)
            except ContractHeightUnavailable:
                if self._clock.monotonic_s() >= give_up_at_s:
                    raise
            attempt += 1
            self._clock.sleep(_SEALING.delay_s(attempt))


def _moved(results: Sequence[ReconciliationResult]) -> set[str]:
    """The keys of those whose row has moved between read and write."""
    return {each.user_address for each in results if each.outcome is Outcome.CHANGED_MEANWHILE}


def _is_amount(text: str | None) -> bool:
    try:
        return text is not None and parse_amount(text) >= 0
    except InvalidInput:
        return False
