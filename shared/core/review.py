"""The safety stop: is what a scan found drift, or a wrong contract address?"""

from dataclasses import dataclass

from shared.core.policy import Policy

FUNDED_MIN_USERS = 3
"""From how many funded users on "all of them read zero" is no coincidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCounts:
    """What the review looks at. `users` = in_sync + differing + unread."""

    users: int = 0
    in_sync: int = 0
    differing: int = 0
    unread: int = 0
    funded: int = 0
    funded_reading_zero: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a run may not write, and how to go on deliberately."""

    reason: str
    explanation: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.explanation}. {self.remedy}"


def review(counts: ScanCounts, policy: Policy) -> Halt | None:
    """Decide whether the corrections that a scan proposes may be written. None = go on."""
    return (
        _many_unread(counts, policy)
        or _all_read_zero(counts, policy)
        or _most_differ(counts, policy)
    )


def _many_unread(counts: ScanCounts, policy: Policy) -> Halt | None:
    if counts.users < policy.halt_min_users:
        return None
    if counts.unread <= policy.halt_unread_share * counts.users:
        return None
    return Halt(
        "many_unread",
        f"{counts.unread:,} of {counts.users:,} users could not be read",
        "Look at their error codes first; to correct the others all the same, apply the run with "
        "--accept-halt.",
    )


def _all_read_zero(counts: ScanCounts, policy: Policy) -> Halt | None:
    if policy.halt_share >= 1 or counts.funded < FUNDED_MIN_USERS:
        return None
    if counts.funded_reading_zero < counts.funded:
        return None
    return Halt(
        "all_read_zero",
        f"all {counts.funded:,} users with money in the ledger read zero on chain",
        "Check FLOW_CONTRACT_ADDRESS and FLOW_ACCESS_NODE; if the contract really is empty, apply "
        "the run with --accept-halt.",
    )


def _most_differ(counts: ScanCounts, policy: Policy) -> Halt | None:
    looked_at = counts.users - counts.unread
    if looked_at < policy.halt_min_users:
        return None
    if counts.differing <= policy.halt_share * looked_at:
        return None
    return Halt(
        "most_differ",
        f"{counts.differing:,} of {looked_at:,} users differ, more than the share of "
        f"{policy.halt_share:g} that may",
        "Check FLOW_CONTRACT_ADDRESS and SUPABASE_URL; if the drift is real, apply the run with "
        "--accept-halt.",
    )
