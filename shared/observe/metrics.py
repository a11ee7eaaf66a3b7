"""Metrics in CloudWatch's embedded metric format: a JSON line on stdout, no call and no agent.

Namespace `BalanceReconciliation`, dimensions Function and Stage. What is counted of runs comes
once more by Stage alone: which function ends a run depends on whether there is a queue.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

NAMESPACE = "BalanceReconciliation"


class Metric(StrEnum):
    USERS_CHECKED = "UsersChecked"
    """Users looked at, by a chunk that was stored or one by one."""
    DISCREPANCIES = "Discrepancies"
    """Users found to differ."""
    CORRECTED = "Corrected"
    HELD = "Held"
    """Users who differ and are left alone because an admin holds them."""
    FAILED = "Failed"
    """Users of whom no balance could be read or written."""
    SCRIPT_CALLS = "ScriptCalls"
    """Balance scripts sent to the access node, repetitions included."""
    RUNS_FINISHED = "RunsFinished"
    """Runs that may write and are finished now: none that ended otherwise, and no dry run."""
    RUNS_HALTED = "RunsHalted"
    """Runs that the safety stop ended."""
    DURATION_MS = "DurationMs"
    LAG_BLOCKS = "LagBlocks"
    """Blocks between an event and the block that its users were reconciled at."""
    SWEEP_AGE_S = "SweepAgeS"
    """How long ago the last run that wrote finished."""
    SOLVENCY_MISMATCH = "SolvencyMismatch"
    """1: vault, ledger and contract do not agree, and that has lasted; else 0."""
    SOLVENCY_UNREADABLE = "SolvencyUnreadable"
    """1: they could not be read; else 0."""
    VAULT_DIFFERENCE = "VaultDifference"
    """Vault − ledger in FLOW, as a graph needs it; the check has it exactly."""
    CONTRACT_DIFFERENCE = "ContractDifference"
    """The contract's own total − ledger in FLOW, likewise."""
    AUDIT_FAULTS = "AuditFaults"
    """What is wrong with the audit log."""


_UNITS = {
    Metric.DURATION_MS: "Milliseconds",
    Metric.SWEEP_AGE_S: "Seconds",
    Metric.VAULT_DIFFERENCE: "None",
    Metric.CONTRACT_DIFFERENCE: "None",
}
_OF_RUNS = (Metric.RUNS_FINISHED, Metric.RUNS_HALTED)
COUNTERS = (
    Metric.USERS_CHECKED,
    Metric.DISCREPANCIES,
    Metric.CORRECTED,
    Metric.HELD,
    Metric.FAILED,
    Metric.SCRIPT_CALLS,
    *_OF_RUNS,
)
"""Every invocation tells these, 0 included, so that a graph has no holes; the rest only if set."""


def emf_line(
    values: Mapping[Metric, float],
    *,
    at: datetime,
    function: str,
    stage: str,
    properties: Mapping[str, str],
) -> str:
    """One line of one invocation. `properties` can be searched for, and are no dimensions."""
    of_runs = [metric for metric in values if metric in _OF_RUNS]
    directives = [_directive(["Function", "Stage"], values)]
    if of_runs:
        directives.append(_directive(["Stage"], of_runs))
    head = {"Timestamp": int(at.timestamp() * 1_000), "CloudWatchMetrics": directives}
    named = {str(metric): value for metric, value in values.items()}
    return json.dumps({"_aws": head, "Function": function, "Stage": stage, **properties, **named})


def _directive(dimensions: list[str], metrics: Mapping[Metric, float] | list[Metric]) -> object:
    return {
        "Namespace": NAMESPACE,
        "Dimensions": [dimensions],
        "Metrics": [{"Name": str(each), "Unit": _UNITS.get(each, "Count")} for each in metrics],
    }
