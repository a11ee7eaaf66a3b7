"""Reading many users from the contract: retry, split, and never take a failure for a zero.

The ladder: unavailable, timed out, rate limited → retry; too large, or an error in the script →
split in half; a single user that still fails → that user's error, the others go on.
"""

from collections import deque
from collections.abc import Sequence

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
from shared.ports import Clock, Contract
from shared.services.retry import Backoff, with_retry

FUTILE_CALLS_MAX = 64
"""Failed calls after which, with no success yet, the contract itself is taken to be broken."""

_SPLITTABLE = (
    ContractLimitExceeded,
    ContractRateLimited,  # gRPC has one status for "too many" and "too large"
    ContractScriptFailed,
    ContractTimeout,
)


class ContractReader:
    """Reads balances at one named height, whatever single users do to the script."""

    def __init__(self, contract: Contract, clock: Clock, backoff: Backoff | None = None) -> None:
        self._contract = contract
        self._clock = clock
        self._backoff = backoff or Backoff()

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
        balances: dict[FlowAddress, FlowAmount] = {}
        errors: dict[FlowAddress, ReconcileError] = {}
        parts = deque([addresses] if addresses else [])
        failed_calls = 0
        # Breadth first: halves that work show up early, so a contract that fails for everybody
        # is told from one that fails for somebody after few calls.
        while parts:
            part = parts.popleft()
            try:
                balances.update(zip(part, self._ask(part, block_height), strict=True))
                continue
            except _SPLITTABLE as error:
                failed_calls += 1
                if failed_calls == 1 and self._may_be_everybodys(error, part):
                    self._ask_without_users(block_height)
                if len(part) == 1:
                    errors[part[0]] = error
                elif failed_calls > FUTILE_CALLS_MAX and not balances:
                    raise
            middle = len(part) // 2
            if middle:
                parts.extend((part[:middle], part[middle:]))
        return ContractBalances(block_height, balances, errors)

    def _ask(self, part: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        answer = with_retry(
            lambda: self._contract.balances_at(part, block_height), self._clock, self._backoff
        )
        if len(answer) != len(part):
            raise ContractBadAnswer(
                f"the balance script answered {len(answer)} balances for {len(part)} users",
                remedy="It must return one balance for each address, in the order it was given.",
            )
        return answer

    @staticmethod
    def _may_be_everybodys(error: ReconcileError, part: Sequence[FlowAddress]) -> bool:
        # A node that is silent for one user has been asked often enough.
        return isinstance(error, ContractScriptFailed) or (
            isinstance(error, ContractTimeout) and len(part) > 1
        )

    def _ask_without_users(self, block_height: int) -> None:
        """Raise when the script fails with nobody in it: then no user is to blame."""
        try:
            self._ask([], block_height)
        except ContractScriptFailed as error:
            raise ContractScriptInvalid(
                f"the balance script fails even when it is asked about nobody: {error.fault}",
                remedy="Check FLOW_BALANCE_SCRIPT, FLOW_CONTRACT_ADDRESS and FLOW_CONTRACT_NAME.",
            ) from error
