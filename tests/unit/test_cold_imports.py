"""What a new interpreter imports: no function pays at its start for what it may never use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench.cold import USES, function_names, modules_of

ROOT = Path(__file__).parents[2]
PUT_OFF = {
    "supabase",
    "flow_py_sdk",
    "httpx",
    "boto3",
    "botocore",
    "rich",
    "reportlab",
    "apprise",
    "jwt",
}
PUT_OFF_BY_SERVICES = {"boto3", "botocore", "reportlab", "apprise", "shared.cli"}


def imported(*modules: str) -> set[str]:
    """All that is imported after these are, in a new interpreter."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", function_names())
def test_a_functions_module_puts_the_clients_off(function: str) -> None:
    assert not imported(f"functions.{function}") & PUT_OFF


def test_the_services_put_off_what_few_calls_need() -> None:
    assert not imported("shared.bootstrap") & PUT_OFF_BY_SERVICES


def test_the_bench_knows_what_every_function_uses() -> None:
    assert sorted(USES) == function_names()


def test_one_users_reconcile_starts_without_the_sweeps_modules() -> None:
    assert not set(modules_of("reconcile_user")) & {
        "shared.adapters.supabase_run_store",
        "shared.core.run",
        "shared.services.sweep",
        "boto3",
    }
