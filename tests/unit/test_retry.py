from typing import Any
from uuid import uuid4

import pytest

from shared.core.amount import FlowAmount
from shared.core.errors import (
    ContractNotDeployed,
    ContractTimeout,
    LedgerLockTimeout,
    LedgerRefused,
    ReconcileError,
)
from shared.ports.ledger import Correction, Written
from shared.services.retry import Backoff, with_retry
from shared.services.retrying_ledger import RetryingLedger
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_ledger import FakeLedger

BACKOFF = Backoff(attempts_max=4, base_s=0.25, cap_s=1.0)


class Flaky:
    def __init__(self, *errors: ReconcileError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def timeout() -> ContractTimeout:
    return ContractTimeout("late", remedy="Wait.")


def test_an_answer_at_once_costs_no_wait() -> None:
    clock = FakeClock()
    assert with_retry(Flaky(), clock, BACKOFF) == "answer"
    assert clock.sleeps == []


def test_retries_until_it_answers() -> None:
    clock, call = FakeClock(), Flaky(timeout(), timeout(), timeout())
    assert with_retry(call, clock, BACKOFF) == "answer"
    assert (call.calls, len(clock.sleeps)) == (4, 3)


def test_gives_up_with_the_last_error() -> None:
    last = LedgerLockTimeout("locked", remedy="Wait.")
    call = Flaky(timeout(), timeout(), timeout(), last, timeout())
    with pytest.raises(LedgerLockTimeout) as caught:
        with_retry(call, FakeClock(), BACKOFF)
    assert caught.value is last
    assert call.calls == 4


def test_an_error_that_no_retry_helps_with_is_raised_at_once() -> None:
    clock, call = FakeClock(), Flaky(ContractNotDeployed("gone", remedy="Check."))
    with pytest.raises(ContractNotDeployed):
        with_retry(call, clock, BACKOFF)
    assert (call.calls, clock.sleeps) == (1, [])


def test_an_exempted_error_is_raised_at_once() -> None:
    call = Flaky(LedgerRefused("moved", remedy="Again.", code="changed_meanwhile"))
    with pytest.raises(LedgerRefused):
        with_retry(call, FakeClock(), BACKOFF, unless=(LedgerRefused,))
    assert call.calls == 1


def test_one_attempt_is_no_retry() -> None:
    call = Flaky(timeout())
    with pytest.raises(ContractTimeout):
        with_retry(call, FakeClock(), Backoff(attempts_max=1))
    assert call.calls == 1


@pytest.mark.parametrize("attempt", [0, 1, 2, 5, 50])
def test_delays_are_jittered_within_their_bound(attempt: int) -> None:
    bound = min(1.0, 0.25 * 2**attempt)
    delays = [BACKOFF.delay_s(attempt) for _ in range(200)]
    assert all(0 <= delay <= bound for delay in delays)
    assert max(delays) > bound / 2
    assert min(delays) < bound / 2


def test_a_programming_error_is_not_retried() -> None:
    calls = []

    def broken() -> None:
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        with_retry(broken, FakeClock(), BACKOFF)
    assert len(calls) == 1


def test_a_locked_row_is_asked_for_again_alone_but_not_in_a_batch() -> None:
    asked: list[str] = []

    class Locked(FakeLedger):
        def correct_user(self, *args: Any, **kwargs: Any) -> Written:
            asked.append("user")
            raise LedgerLockTimeout("locked", remedy="Wait.")

        def correct_users(self, *args: Any, **kwargs: Any) -> list[Written]:
            asked.append("users")
            raise LedgerLockTimeout("locked", remedy="Wait.")

    ledger = RetryingLedger(Locked(), FakeClock())
    who = Correction(
        user_address="a", contract_balance=FlowAmount(1), expected_balance=FlowAmount(0)
    )
    with pytest.raises(LedgerLockTimeout):
        ledger.correct_user(who, block_height=1, admin_address="ADMIN", run_id=uuid4())
    with pytest.raises(LedgerLockTimeout):
        ledger.correct_users([who], block_height=1, admin_address="ADMIN", run_id=uuid4())
    assert asked == ["user", "user", "user", "users"]
