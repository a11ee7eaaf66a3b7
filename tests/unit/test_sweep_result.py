from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.sweep_result import SweepResult
from tests.unit.runs import STARTED, run


def result(outcome: Outcome, key: str) -> ReconciliationResult:
    return ReconciliationResult(user_address=key, outcome=outcome, timestamp=STARTED)


class OnePass(tuple[ReconciliationResult, ...]):
    """Results that may be iterated over, but not indexed one by one."""

    def __getitem__(self, index: object) -> ReconciliationResult:  # type: ignore[override]
        raise AssertionError("iterating must not go by index")


def test_a_sweep_result_is_a_sequence_of_results() -> None:
    first, second = result(Outcome.CORRECTED, "a"), result(Outcome.FAILED, "b")
    sweep = SweepResult(run(), (first, second))
    assert list(sweep) == [first, second]
    assert (len(sweep), sweep[1], sweep[:1]) == (2, second, (first,))
    assert second in sweep


def test_a_sweep_result_iterates_as_its_results_do() -> None:
    results = OnePass([result(Outcome.CORRECTED, "a"), result(Outcome.FAILED, "b")])
    assert [each.user_address for each in SweepResult(run(), results)] == ["a", "b"]


def test_a_sweep_that_found_nothing_is_empty() -> None:
    assert not SweepResult(run())
    assert list(SweepResult(run())) == []
