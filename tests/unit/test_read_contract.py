import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import (
    ContractBadAnswer,
    ContractError,
    ContractHeightUnavailable,
    ContractLimitExceeded,
    ContractNotDeployed,
    ContractRateLimited,
    ContractScriptFailed,
    ContractScriptInvalid,
    ContractTimeout,
    ContractUnreachable,
)
from shared.services.batch_size import BatchSize
from shared.services.read_contract import FUTILE_CALLS_MAX, ContractReader
from shared.services.retry import Backoff
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FIRST_HEIGHT, FakeContract
from tests.unit.users import user

USERS = [user(number) for number in range(100)]


def funded(**options: int) -> FakeContract:
    return FakeContract({address: 10 + n for n, address in enumerate(USERS)}, **options)


def reader(contract: FakeContract, attempts_max: int = 4) -> ContractReader:
    return ContractReader(contract, FakeClock(), Backoff(attempts_max=attempts_max))


def sized(contract: FakeContract, size: BatchSize) -> ContractReader:
    return ContractReader(contract, FakeClock(), Backoff(attempts_max=1), size)


def script_sizes(contract: FakeContract) -> list[int]:
    return [len(users) for _, users in contract.calls]


def aborted() -> ContractScriptFailed:
    return ContractScriptFailed("panic", remedy="Ask.")


def timed_out() -> ContractTimeout:
    return ContractTimeout("late", remedy="Wait.")


def test_reads_everybody_with_one_script_at_the_named_height() -> None:
    contract = funded()
    contract.set(USERS[0], 99)
    found = reader(contract).read(USERS, FIRST_HEIGHT)
    assert found.block_height == FIRST_HEIGHT
    assert found.balances == {address: 10 + n for n, address in enumerate(USERS)}
    assert not found.errors
    assert contract.calls == [(FIRST_HEIGHT, USERS)]


def test_asks_nothing_for_nobody() -> None:
    contract = funded()
    assert reader(contract).read([], FIRST_HEIGHT).balances == {}
    assert contract.calls == []


@pytest.mark.parametrize(
    "error",
    [
        ContractUnreachable("down", remedy="Wait."),
        ContractTimeout("late", remedy="Wait."),
        ContractRateLimited("slow down", remedy="Wait."),
        ContractHeightUnavailable("behind", remedy="Wait."),
    ],
)
def test_a_passing_trouble_is_retried(error: ContractError) -> None:
    contract = funded()
    contract.fail_next(error, 2)
    assert len(reader(contract).read(USERS, FIRST_HEIGHT).balances) == 100
    assert script_sizes(contract) == [100] * 3


@pytest.mark.parametrize(
    "error",
    [
        ContractNotDeployed("gone", remedy="Check."),
        ContractBadAnswer("strange", remedy="Check."),
        ContractScriptInvalid("no main", remedy="Check."),
    ],
)
def test_a_fault_of_no_user_is_raised_at_once(error: ContractError) -> None:
    contract = funded()
    contract.fail_next(error)
    with pytest.raises(type(error)):
        reader(contract).read(USERS, FIRST_HEIGHT)
    assert len(contract.calls) == 1


def test_an_unreachable_node_is_raised_after_the_retries() -> None:
    contract = funded()
    contract.fail_when(lambda users: ContractUnreachable("down", remedy="Wait."))
    with pytest.raises(ContractUnreachable):
        reader(contract).read(USERS, FIRST_HEIGHT)
    assert len(contract.calls) == 4


@pytest.mark.parametrize("position", [0, 49, 50, 99])
def test_splits_until_it_finds_the_user_who_panics(position: int) -> None:
    contract = funded()
    contract.panic_for([USERS[position]])
    found = reader(contract).read(USERS, FIRST_HEIGHT)
    assert set(found.errors) == {USERS[position]}
    assert found.errors[USERS[position]].code == "contract_query_failed"
    assert set(found.balances) == set(USERS) - {USERS[position]}
    assert len(contract.calls) <= 2 * 7 + 2


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 99), max_size=20))
def test_everybody_is_in_the_balances_or_in_the_errors_with_the_right_value(bad: set[int]) -> None:
    contract = funded()
    contract.panic_for(USERS[n] for n in bad)
    found = reader(contract).read(USERS, FIRST_HEIGHT)
    assert set(found.errors) == {USERS[n] for n in bad}
    assert found.balances == {USERS[n]: 10 + n for n in range(100) if n not in bad}


def test_a_single_user_who_panics_is_that_users_error() -> None:
    contract = funded()
    contract.panic_for(USERS)
    found = reader(contract).read(USERS[:1], FIRST_HEIGHT)
    assert found.balances == {}
    assert set(found.errors) == {USERS[0]}


def test_what_is_too_large_is_split_without_asking_for_nobody() -> None:
    contract = funded(users_max=30)
    found = reader(contract).read(USERS, FIRST_HEIGHT)
    assert len(found.balances) == 100
    assert script_sizes(contract) == [100, 50, 50, 25, 25, 25, 25]


@pytest.mark.parametrize("error", [timed_out(), ContractRateLimited("many", remedy="Wait.")])
def test_a_trouble_that_stays_with_large_scripts_is_split(error: ContractError) -> None:
    contract = funded()
    contract.fail_when(lambda users: error if len(users) > 50 else None)
    assert len(reader(contract, 2).read(USERS, FIRST_HEIGHT).balances) == 100


def test_a_contract_that_fails_for_everybody_is_given_up_after_few_calls() -> None:
    many = [user(number) for number in range(10_000)]
    contract = FakeContract()
    contract.panic_for(many)
    with pytest.raises(ContractScriptFailed):
        reader(contract).read(many, FIRST_HEIGHT)
    assert FUTILE_CALLS_MAX < len(contract.calls) <= FUTILE_CALLS_MAX + 3


def test_some_who_can_be_read_keep_it_going() -> None:
    many = [user(number) for number in range(1_000)]
    contract = FakeContract(dict.fromkeys(many, 1))
    contract.panic_for(many[::2][:200])
    found = reader(contract).read(many, FIRST_HEIGHT)
    assert (len(found.errors), len(found.balances)) == (200, 800)


def test_a_script_that_fails_about_nobody_is_the_scripts_fault() -> None:
    contract = funded()
    contract.fail_when(lambda users: aborted())
    with pytest.raises(ContractScriptInvalid, match="even when it is asked about nobody"):
        reader(contract).read(USERS, FIRST_HEIGHT)
    assert script_sizes(contract) == [100, 0]


def test_a_node_that_times_out_about_nobody_is_a_timeout() -> None:
    contract = funded()
    contract.fail_when(lambda users: timed_out())
    with pytest.raises(ContractTimeout):
        reader(contract, 2).read(USERS, FIRST_HEIGHT)
    assert script_sizes(contract) == [100, 100, 0, 0]


class Miscounting(FakeContract):
    def balances_at(self, addresses, block_height):  # type: ignore[no-untyped-def]
        return super().balances_at(addresses, block_height)[:-1]


def test_an_answer_that_misses_somebody_is_no_answer() -> None:
    with pytest.raises(ContractBadAnswer, match="99 balances for 100 users"):
        reader(Miscounting()).read(USERS, FIRST_HEIGHT)


def test_the_latest_height_is_asked_again_after_a_passing_trouble() -> None:
    contract = funded()
    contract.fail_next_height(timed_out(), 3)
    assert reader(contract).latest_height() == FIRST_HEIGHT
    assert contract.height_calls == 4


def test_a_node_behind_an_earlier_read_is_waited_for() -> None:
    contract, clock = funded(), FakeClock()
    with pytest.raises(ContractHeightUnavailable, match="behind block 101"):
        ContractReader(contract, clock).latest_height(at_least=FIRST_HEIGHT + 1)
    assert len(clock.sleeps) == 2
    contract.seal()
    assert ContractReader(contract, clock).latest_height(at_least=FIRST_HEIGHT + 1) == 101


def test_a_node_silent_for_a_single_user_is_not_asked_about_nobody_too() -> None:
    contract = funded()
    contract.fail_when(lambda _: timed_out())
    answer = reader(contract, attempts_max=1).read(USERS[:1], FIRST_HEIGHT)
    assert list(answer.errors) == USERS[:1]
    assert len(contract.calls) == 1


@pytest.mark.parametrize(
    ("users", "scripts"),
    [(1, [1]), (40, [40]), (43, [43]), (50, [50]), (51, [26, 25]), (80, [40, 40]), (100, [50, 50])],
)
def test_a_long_list_is_cut_into_even_scripts_of_about_the_batch_size(
    users: int, scripts: list[int]
) -> None:
    contract = funded()
    found = sized(contract, BatchSize(40)).read(USERS[:users], FIRST_HEIGHT)
    assert script_sizes(contract) == scripts
    assert found.balances == {address: 10 + n for n, address in enumerate(USERS[:users])}
    assert found.script_calls == len(scripts)


def test_a_limit_makes_the_scripts_that_follow_smaller_in_this_read_and_the_next() -> None:
    contract, size = funded(users_max=15), BatchSize(40)
    found = sized(contract, size).read(USERS, FIRST_HEIGHT)
    assert len(found.balances) == 100
    assert [each for each in script_sizes(contract) if each > 15] == [50, 25]
    contract.calls.clear()
    for _ in range(10):
        sized(contract, size).read(USERS, FIRST_HEIGHT)
    assert len([each for each in script_sizes(contract) if each > 15]) <= 2


def test_scripts_grow_back_once_they_work() -> None:
    contract, size = funded(), BatchSize(40)
    contract.fail_next(ContractLimitExceeded("too large", remedy="Ask fewer."))
    read = sized(contract, size).read
    read(USERS, FIRST_HEIGHT)
    assert size.current < 40
    for _ in range(100):
        read(USERS, FIRST_HEIGHT)
    assert size.current == 40


def test_one_user_who_is_too_much_for_any_script_does_not_make_all_scripts_small() -> None:
    contract, size = funded(), BatchSize(100)
    too_much = ContractLimitExceeded("too large", remedy="Ask fewer.")
    contract.fail_when(lambda users: too_much if USERS[3] in users else None)
    found = sized(contract, size).read(USERS, FIRST_HEIGHT)
    assert (list(found.errors), len(found.balances)) == ([USERS[3]], 99)
    assert size.current >= 25


def test_every_call_is_counted_retries_splits_and_the_question_about_nobody() -> None:
    contract = funded()
    contract.panic_for([USERS[7]])
    contract.fail_next(timed_out())
    found = reader(contract).read(USERS, FIRST_HEIGHT)
    assert found.script_calls == len(contract.calls) > 14
    assert 0 in script_sizes(contract)
