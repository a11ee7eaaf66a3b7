"""Users that somebody names to be reconciled together, such as the indexer after a block."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shared.core.address import FlowAddress

BATCH_USERS_MAX = 1_000
"""Users that are read and corrected together, and that one queue's message names: with ten
messages a call that is below the 256 KiB that SQS takes."""
HEIGHT_MAX = 2**63 - 1
"""The largest bigint, which keeps heights in the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserBatch:
    """`block_height`: the contract is read at this block or a later one."""

    user_addresses: tuple[FlowAddress, ...]
    block_height: int
    admin_address: str

    def parts(self) -> Iterator["UserBatch"]:
        """The same in parts of BATCH_USERS_MAX users."""
        for start in range(0, len(self.user_addresses), BATCH_USERS_MAX):
            part = self.user_addresses[start : start + BATCH_USERS_MAX]
            yield replace(self, user_addresses=part)
