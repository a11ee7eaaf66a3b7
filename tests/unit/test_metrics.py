"""Lines in the embedded metric format, held against CloudWatch's specification of it."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared.observe.metrics import COUNTERS, Metric, emf_line

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
Name = Annotated[str, Field(min_length=1, max_length=1024)]
DimensionName = Annotated[str, Field(min_length=1, max_length=250)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Definition(_Strict):
    """The specification's MetricDefinition object."""

    Name: Name
    Unit: Literal["Seconds", "Milliseconds", "Count", "Percent", "Bytes", "None"] = "None"
    StorageResolution: Literal[1, 60] = 60


class Directive(_Strict):
    """Its MetricDirective object."""

    Namespace: Name
    Dimensions: Annotated[
        list[Annotated[list[DimensionName], Field(max_length=30)]], Field(min_length=1)
    ]
    Metrics: Annotated[list[Definition], Field(min_length=1, max_length=100)]


class Metadata(_Strict):
    """Its metadata object."""

    Timestamp: Annotated[int, Field(ge=0)]
    CloudWatchMetrics: list[Directive]


def read(line: str) -> tuple[Metadata, dict[str, Any]]:
    """A line's metadata and the members of its root, which the metadata point to."""
    assert "\n" not in line
    root = json.loads(line)
    metadata = Metadata.model_validate(root.pop("_aws"))
    for directive in metadata.CloudWatchMetrics:
        for dimension in (name for names in directive.Dimensions for name in names):
            assert isinstance(root[dimension], str)
            assert 0 < len(root[dimension]) <= 1024
        for metric in directive.Metrics:
            assert type(root[metric.Name]) in (int, float)
    return metadata, root


def line_of(values: dict[Metric, float]) -> str:
    return emf_line(values, at=AT, function="sweep", stage="prod", properties={"RequestId": "r-1"})


@pytest.mark.parametrize("metrics", [COUNTERS, tuple(Metric), (Metric.DURATION_MS,)])
def test_a_line_is_what_the_specification_asks_for(metrics: tuple[Metric, ...]) -> None:
    metadata, root = read(line_of(dict.fromkeys(metrics, 3)))
    assert metadata.Timestamp == 1767323045678
    first = metadata.CloudWatchMetrics[0]
    assert (first.Namespace, first.Dimensions) == ("BalanceReconciliation", [["Function", "Stage"]])
    assert [metric.Name for metric in first.Metrics] == [str(metric) for metric in metrics]
    assert root["RequestId"] == "r-1"


def test_what_is_counted_of_runs_comes_by_stage_alone_too() -> None:
    metadata, root = read(line_of({Metric.RUNS_FINISHED: 1, Metric.CORRECTED: 7}))
    _, by_stage = metadata.CloudWatchMetrics
    assert by_stage.Dimensions == [["Stage"]]
    assert [metric.Name for metric in by_stage.Metrics] == ["RunsFinished"]
    assert root == {
        "Function": "sweep",
        "Stage": "prod",
        "RequestId": "r-1",
        "RunsFinished": 1,
        "Corrected": 7,
    }


def test_units_are_those_of_the_values() -> None:
    metadata, _ = read(line_of(dict.fromkeys(Metric, 0)))
    units = {each.Name: each.Unit for each in metadata.CloudWatchMetrics[0].Metrics}
    assert (units["DurationMs"], units["SweepAgeS"]) == ("Milliseconds", "Seconds")
    amounts = {name for name, unit in units.items() if unit == "None"}
    assert amounts == {"VaultDifference", "ContractDifference"}, "CloudWatch has no unit for FLOW"
    others = units.keys() - amounts - {"DurationMs"}
    assert {units[name] for name in others if name[-1] != "S"} == {"Count"}
