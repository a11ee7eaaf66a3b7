import pytest

from shared.core.policy import Policy
from shared.core.review import ScanCounts, review

POLICY = Policy()


def reason(counts: ScanCounts, policy: Policy = POLICY) -> str | None:
    halt = review(counts, policy)
    return halt.reason if halt else None


def test_ordinary_drift_goes_on() -> None:
    assert reason(ScanCounts(users=1000, in_sync=990, differing=10, funded=500)) is None


def test_an_empty_ledger_goes_on() -> None:
    assert reason(ScanCounts()) is None


@pytest.mark.parametrize(
    ("users", "differing", "expected"),
    [
        (100, 50, None),
        (100, 51, "most_differ"),
        (99, 99, None),
        (101, 51, "most_differ"),
        (1000, 500, None),
        (1000, 501, "most_differ"),
    ],
)
def test_halts_when_more_than_half_of_a_hundred_or_more_differ(
    users: int, differing: int, expected: str | None
) -> None:
    counts = ScanCounts(users=users, in_sync=users - differing, differing=differing)
    assert reason(counts) == expected


def test_unread_users_are_no_part_of_the_share_that_differs() -> None:
    counts = ScanCounts(users=109, in_sync=49, differing=51, unread=9)
    assert reason(counts) == "most_differ"
    assert reason(ScanCounts(users=108, in_sync=40, differing=59, unread=9)) is None


@pytest.mark.parametrize(
    ("users", "unread", "expected"),
    [(100, 10, None), (100, 11, "many_unread"), (99, 99, None), (1000, 101, "many_unread")],
)
def test_halts_when_more_than_a_tenth_could_not_be_read(
    users: int, unread: int, expected: str | None
) -> None:
    assert reason(ScanCounts(users=users, in_sync=users - unread, unread=unread)) == expected


@pytest.mark.parametrize(
    ("funded", "zero", "expected"),
    [
        (2, 2, None),
        (3, 2, None),
        (3, 3, "all_read_zero"),
        (50, 49, None),
        (50, 50, "all_read_zero"),
    ],
)
def test_halts_when_everybody_with_money_reads_zero(
    funded: int, zero: int, expected: str | None
) -> None:
    counts = ScanCounts(
        users=funded + 90, in_sync=90, differing=funded, funded=funded, funded_reading_zero=zero
    )
    assert reason(counts) == expected


def test_the_shares_can_be_lifted_deliberately() -> None:
    everyone = ScanCounts(users=200, differing=200, funded=200, funded_reading_zero=200, in_sync=0)
    assert reason(everyone) == "all_read_zero"
    assert reason(everyone, Policy(halt_share=1)) is None
    unread = ScanCounts(users=200, unread=200)
    assert reason(unread, Policy(halt_unread_share=1)) is None


@pytest.mark.parametrize(
    ("counts", "fault"),
    [
        (ScanCounts(users=2000, differing=1500, in_sync=500), "1,500 of 2,000 users differ"),
        (ScanCounts(users=2000, unread=2000), "2,000 of 2,000 users could not be read"),
        (
            ScanCounts(users=9, in_sync=6, differing=3, funded=3, funded_reading_zero=3),
            "all 3 users with money in the ledger read zero on chain",
        ),
    ],
)
def test_a_halt_says_why_and_how_to_go_on(counts: ScanCounts, fault: str) -> None:
    halt = review(counts, POLICY)
    assert halt is not None
    assert fault in str(halt)
    assert "--accept-halt" in halt.remedy
