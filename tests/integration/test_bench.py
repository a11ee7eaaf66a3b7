"""The benchmark itself, with a few hundred users: its figures are whole, true and consistent."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from shared import reconcile_all_users
from tests.conftest import LedgerTables, quiet, settings_of
from tools.bench.__main__ import main
from tools.bench.cold import cold_start, function_names
from tools.bench.errors import BenchError
from tools.bench.measure import measure
from tools.bench.options import Options
from tools.bench.table import markdown
from tools.bench.unit_costs import measure_costs
from tools.bench.world import World
from tools.stack import Stack

OPTIONS = Options(
    users=400, batch_size=150, drift_ratio=0.01, rounds=1, naive_users=200, single_users=2
)
DRIFTED = 4
SWEEPS = 4  # two for memory, one round, one paced

KEYS = {
    "users",
    "drift_ratio",
    "sweep_users_per_s",
    "naive_users_per_s",
    "floor_users_per_s",
    "speedup_vs_naive",
    "share_of_floor",
    "script_calls",
    "rpc_calls",
    "rss_mb_start",
    "rss_mb_peak",
    "rss_growth_10k_to_full_mb",
    "first_result_s",
    "webhook_like_single_user_p50_ms",
    "bare_script_p50_ms",
    "bare_rpc_p50_ms",
    "single_user_ratio",
    "cold_start_s",
    "second_call_ms",
    "warm_call_p50_ms",
    "sweep_paced_s",
    "paced_limit_s",
    "paced_ratio",
    "naive_paced_s",
    "seed_s",
    "python_version",
    "emulator_version",
    "postgres_version",
    "cpu_count",
    "date",
}


@pytest.fixture(scope="module")
def tables(stack: Stack) -> Iterator[LedgerTables]:
    """The tables that the benchmark worked on, empty before and after."""
    found = LedgerTables(stack.database_url)
    found.clean()
    yield found
    found.clean()


@pytest.fixture(scope="module")
def figures(stack: Stack, tables: LedgerTables) -> dict[str, Any]:
    assert tables.balances() == {}  # what the benchmark asks for
    return measure(stack, OPTIONS, quiet)


def test_every_figure_is_there(figures: dict[str, Any]) -> None:
    assert figures.keys() >= KEYS
    numbers = [each for each in figures.values() if isinstance(each, float)]
    assert all(math.isfinite(each) for each in numbers)


def test_the_ratios_are_those_of_the_figures_beside_them(figures: dict[str, Any]) -> None:
    def quotient(above: str, below: str) -> object:
        return pytest.approx(figures[above] / figures[below])

    assert figures["drift_ratio"] == DRIFTED / 400
    assert figures["speedup_vs_naive"] == quotient("sweep_users_per_s", "naive_users_per_s")
    assert figures["share_of_floor"] == quotient("sweep_users_per_s", "floor_users_per_s")
    assert figures["paced_ratio"] == quotient("sweep_paced_s", "paced_limit_s")
    bare_ms = figures["bare_script_p50_ms"] + figures["bare_rpc_p50_ms"]
    assert figures["single_user_ratio"] * bare_ms == pytest.approx(
        figures["webhook_like_single_user_p50_ms"]
    )
    assert figures["rss_growth_10k_to_full_mb"] == pytest.approx(
        figures["rss_mb_peak"] - figures["rss_mb_peak_10k"]
    )


def test_the_calls_are_those_that_were_made(figures: dict[str, Any]) -> None:
    assert figures["script_calls"] == 3 + 1  # three batches, and those who differ again
    assert figures["rpcs"]["reconcile_user_balances"]["calls"] == 1
    assert figures["rpc_calls"] == sum(each["calls"] for each in figures["rpcs"].values())
    assert figures["paced_limit_s"] >= figures["paced_script_calls"] / 5
    assert figures["naive_paced_s"] == (400 + DRIFTED) / 5


def test_every_sweep_has_corrected_the_drift(
    stack: Stack, tables: LedgerTables, figures: dict[str, Any]
) -> None:
    swept = [row for row in tables.audit() if row.transaction_hash == "reconciliation_by_bench"]
    assert len(swept) == SWEEPS * figures["users_drifted"] == SWEEPS * DRIFTED
    assert len(tables.balances()) == 400
    with settings_of(stack):
        assert list(reconcile_all_users(dry_run=True)) == []


def test_the_tables_are_markdown(figures: dict[str, Any]) -> None:
    headline, *tables = markdown(figures).split("\n\n")
    assert headline.startswith("400 users, 4 of them drifted, batches of 150")
    for table in tables:
        lines = table.splitlines()
        assert set(lines[1]) <= set("|-: ")
        assert len({line.count("|") for line in lines}) == 1


def test_imports_are_those_of_every_function(figures: dict[str, Any]) -> None:
    cold = cold_start(quiet, rounds=1)
    names = set(function_names())
    assert {"reconcile_user", "sweep_chunk", "dashboard"} <= names
    assert cold["cold_import_s"].keys() == cold["cold_module_s"].keys() == names
    assert all(0 < cold["cold_module_s"][name] < cold["cold_import_s"][name] for name in names)
    slowest = max(cold["cold_import_s"].values())
    assert cold["cold_import_ratio"] == slowest / cold["cold_libraries_s"]
    assert "`sweep_chunk` until its first answer" in markdown({**figures, **cold})


def test_a_run_is_taken_through_all_of_its_steps(stack: Stack, tables: LedgerTables) -> None:
    tables.clean()
    text = measure_costs(stack, users=3_000, batch_size=1_000, one_in=100, progress=quiet)
    assert text.startswith("3,000 rows in the ledger, chunks of 1,000, one user in 100 differs")
    steps = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert "close a scan chunk" in steps
    assert steps[-1] == "list 1,000 results"
    assert len(tables.audit()) == 30
    tables.clean()


class StillWrong(World):
    def differing(self) -> int:
        return 3


@pytest.mark.parametrize("corrected", [4, 1])
def test_a_sweep_that_leaves_drift_is_no_result(stack: Stack, corrected: int) -> None:
    with pytest.raises(BenchError, match="left 3 wrong"):
        StillWrong(stack, [], []).require_corrected(corrected, 4)


@pytest.mark.parametrize("arguments", [["--users", "0"], ["--rounds", "x"], ["--drift", "2"]])
def test_sizes_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
