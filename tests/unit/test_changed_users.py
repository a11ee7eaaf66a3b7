import pytest

from shared.core.address import FlowAddress
from shared.core.errors import (
    ContractBadAnswer,
    ContractError,
    ContractHeightUnavailable,
    ContractUnreachable,
    EventGapTooLarge,
)
from shared.services.changed_users import ChangedUsers
from shared.services.retry import Backoff
from tests.fakes.fake_clock import FakeClock
from tests.unit.users import user


class Blocks:
    """Implements the port `ContractEvents`: each block names the user of its own number."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.errors: list[ContractError] = []
        self.fails_from: int | None = None

    def users_changed(self, from_height: int, to_height: int) -> set[FlowAddress]:
        self.calls.append((from_height, to_height))
        if self.errors:
            raise self.errors.pop(0)
        if self.fails_from is not None and to_height >= self.fails_from:
            raise ContractHeightUnavailable("pruned", remedy="Try another node.")
        return {user(height) for height in range(from_height, to_height + 1)}


def unreachable() -> ContractUnreachable:
    return ContractUnreachable("down", remedy="Try again.")


def changed(
    blocks: Blocks, clock: FakeClock | None = None, blocks_max: int = 10_000
) -> ChangedUsers:
    return ChangedUsers(
        blocks, clock or FakeClock(), Backoff(attempts_max=3), blocks_max=blocks_max
    )


@pytest.mark.parametrize(
    ("from_height", "to_height", "calls"),
    [
        (7, 7, [(7, 7)]),
        (1, 250, [(1, 250)]),
        (1, 251, [(1, 250), (251, 251)]),
        (100, 849, [(100, 349), (350, 599), (600, 849)]),
        (100, 600, [(100, 349), (350, 599), (600, 600)]),
    ],
)
def test_every_block_is_read_once(
    from_height: int, to_height: int, calls: list[tuple[int, int]]
) -> None:
    blocks = Blocks()
    users = changed(blocks).since(from_height, to_height)
    assert blocks.calls == calls
    assert users == {user(height) for height in range(from_height, to_height + 1)}


@pytest.mark.parametrize("to_height", [99, 50])
def test_no_new_block_names_nobody(to_height: int) -> None:
    blocks = Blocks()
    assert changed(blocks).since(100, to_height) == set()
    assert blocks.calls == []


def test_a_range_is_asked_for_again() -> None:
    blocks, clock = Blocks(), FakeClock()
    blocks.errors = [unreachable(), unreachable()]
    assert len(changed(blocks, clock).since(1, 300)) == 300
    assert blocks.calls == [(1, 250), (1, 250), (1, 250), (251, 300)]
    assert len(clock.sleeps) == 2


def test_a_range_that_keeps_failing_is_not_left_out() -> None:
    blocks = Blocks()
    blocks.fails_from = 300
    with pytest.raises(ContractHeightUnavailable):
        changed(blocks).since(1, 400)
    assert blocks.calls == [(1, 250), *[(251, 400)] * 3]


def test_an_event_that_names_nobody_is_not_asked_for_again() -> None:
    blocks = Blocks()
    blocks.errors = [ContractBadAnswer("no address", remedy="Set the field.")]
    with pytest.raises(ContractBadAnswer):
        changed(blocks).since(1, 10)
    assert len(blocks.calls) == 1


def test_a_gap_up_to_the_limit_is_read() -> None:
    blocks = Blocks()
    assert len(changed(blocks, blocks_max=500).since(1, 500)) == 500


def test_a_larger_gap_is_refused_before_the_first_call() -> None:
    blocks = Blocks()
    with pytest.raises(EventGapTooLarge) as caught:
        changed(blocks, blocks_max=500).since(1, 501)
    assert blocks.calls == []
    assert (caught.value.code, caught.value.retryable) == ("event_gap_too_large", False)
    assert "501" in str(caught.value)
    assert "RECONCILE_EVENT_BLOCKS_MAX" in str(caught.value)
