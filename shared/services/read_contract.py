"""Reading many users from the contract: retry, split, and never take a failure for a zero.

The ladder: unavailable, timed out, rate limited → retry; too large, or an error in the script →
split in half; a single user that still fails → that user's error, the others go on. What was too
large once makes the scripts that follow smaller: see `BatchSize`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount
from shared.core.compare import ContractBalances
from shared.core.errors import (
    ContractBadAnswer,
    ContractHeightUnavailable,
    ContractLimitExceeded,
    ContractRateLimited,
    ContractScriptFailed,
    ContractScriptInvalid,
    ContractTimeout,
    ReconcileError,
)
from shared.ports.clock import Clock
from shared.ports.contract import Contract
from shared.services.batch_size import BatchSize
from shared.services.retry import Backoff, with_retry

FUTILE_CALLS_MAX = 64
"""Failed calls after which, with no success yet, the contract itself is taken to be broken."""

_LIMITS = (
    ContractLimitExceeded,
    ContractRateLimited,  # gRPC has one status for "too many" and "too large"
    ContractTimeout,
)
_SPLITTABLE = (*_LIMITS, ContractScriptFailed)


@dataclass(slots=True)
class _Reading:
    """What a read has come to so far."""

    balances: dict[FlowAddress, FlowAmount] = field(default_factory=dict)
    errors: dict[FlowAddress, ReconcileError] = field(default_factory=dict)
    script_calls: int = 0
    failures: int = 0
    largest_worked: int = 0
    ran_into_limit: bool = False


class ContractReader:
    """Reads balances at one named height, whatever single users do to the script."""

    def __init__(
        self,
        contract: Contract,
        clock: Clock,
        backoff: Backoff | None = None,
        batch_size: BatchSize | None = None,
    ) -> None:
        self._contract = contract
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._batch_size = batch_size or BatchSize()

    def latest_height(self, *, at_least: int = 0) -> int:
        """The latest sealed height, with retries.

        Raises ContractHeightUnavailable while the node is behind the height `at_least`.
        """

        def ask() -> int:
            height = self._contract.latest_height()
            if height < at_least:
                raise ContractHeightUnavailable(
                    f"the access node is at block {height}, behind block {at_least} read before",
                    remedy="Wait for the node to catch up, or use another FLOW_ACCESS_NODE.",
                )
            return height

        return with_retry(ask, self._clock, self._backoff)

    def read(self, addresses: Sequence[FlowAddress], block_height: int) -> ContractBalances:
        """Every address is in the answer's `balances` or in its `errors`.

        Raises ContractError when the fault is not one of single users: node unreachable,
        contract or function missing, or nobody can be read.
        """
        reading = _Reading()
        # Ranges of `addresses`, breadth first: halves that work show up early, so a contract that
        # fails for everybody is told from one that fails for somebody after few calls.
        parts = deque([range(len(addresses))] if addresses else [])
        while parts:
            cut = self._next_part(parts)
            part = addresses[cut.start : cut.stop]
            try:
                answer = self._ask(part, block_height, reading)
            except _SPLITTABLE as error:
                self._take_failure(reading, error, part, block_height)
                if middle := len(cut) // 2:
                    parts.extend((cut[:middle], cut[middle:]))
            else:
                reading.balances.update(zip(part, answer, strict=True))
                reading.largest_worked = max(reading.largest_worked, len(part))
                self._batch_size.worked(len(part))
        if reading.ran_into_limit:
            # Looking for one user who is too much for any script has led to small parts; what the
            # others did together is the size to go on with.
            self._batch_size.worked(reading.largest_worked)
        return ContractBalances(
            block_height, reading.balances, reading.errors, reading.script_calls
        )

    def _next_part(self, parts: deque[range]) -> range:
        """Take the first part; when it is too long for one script, an even share of it."""
        part = parts.popleft()
        scripts = -(-len(part) // self._batch_size.largest)
        share = -(-len(part) // scripts)
        if share < len(part):
            parts.appendleft(part[share:])
        return part[:share]

    def _ask(
        self, part: Sequence[FlowAddress], block_height: int, reading: _Reading
    ) -> list[FlowAmount]:
        def call() -> list[FlowAmount]:
            reading.script_calls += 1
            return self._contract.balances_at(part, block_height)

        answer = with_retry(call, self._clock, self._backoff)
        if len(answer) != len(part):
            raise ContractBadAnswer(
                f"the balance script answered {len(answer)} balances for {len(part)} users",
                remedy="It must return one balance for each address, in the order it was given.",
            )
        return answer

    def _take_failure(
        self,
        reading: _Reading,
        error: ReconcileError,
        part: Sequence[FlowAddress],
        block_height: int,
    ) -> None:
        """Raise when it is no fault of single users."""
        reading.failures += 1
        if reading.failures == 1 and self._may_be_everybodys(error, part):
            self._ask_without_users(block_height, reading)
        if isinstance(error, _LIMITS):
            reading.ran_into_limit = True
            self._batch_size.too_large(len(part))
        if len(part) == 1:
            reading.errors[part[0]] = error
        elif reading.failures > FUTILE_CALLS_MAX and not reading.balances:
            raise error

    @staticmethod
    def _may_be_everybodys(error: ReconcileError, part: Sequence[FlowAddress]) -> bool:
        # A node that is silent for one user has been asked often enough.
        return isinstance(error, ContractScriptFailed) or (
            isinstance(error, ContractTimeout) and len(part) > 1
        )

    def _ask_without_users(self, block_height: int, reading: _Reading) -> None:
        """Raise when the script fails with nobody in it: then no user is to blame."""
        try:
            self._ask([], block_height, reading)
        except ContractScriptFailed as error:
            raise ContractScriptInvalid(
                f"the balance script fails even when it is asked about nobody: {error.fault}",
                remedy="Check FLOW_BALANCE_SCRIPT, FLOW_CONTRACT_ADDRESS and FLOW_CONTRACT_NAME.",
            ) from error
