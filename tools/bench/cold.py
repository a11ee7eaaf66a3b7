"""Cold start: what a new interpreter imports before a function's first answer, and its package."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bench.errors import BenchError
from tools.package import PackageError, build, lambda_target
from tools.stack.progress import Progress

ROUNDS = 7
_ROOT = Path(__file__).parents[2]
_LIBRARIES = ("supabase", "flow_py_sdk", "functions_framework")
USES = {
    "reconcile_user": ("request_slots", "idempotency", "user_reconciler"),
    "rollback": ("request_slots", "idempotency", "rollbacks"),
    "holds": ("request_slots", "holds"),
    "dry_run_report": ("request_slots", "sweeper"),
    "report": ("request_slots", "reports"),
    "solvency": ("request_slots", "solvency"),
    "sweep": ("request_slots", "idempotency", "ticker", "runs"),
    "sweep_chunk": ("queue_worker",),
    "dashboard": ("request_slots", "runs", "solvency", "alerts"),
    "verify_audit": ("request_slots", "audit_verifier", "audit_rounds"),
    "watchdog": ("watchdog",),
    "indexer_webhook": ("webhooks", "named_reconciler"),
}
"""Which services a function uses for its first answer; they are imported and made at first use."""
_MODULES = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
from shared.bootstrap import services
for name in sys.argv[2:]:
    getattr(services(), name)
print(json.dumps([name for name in sys.modules if name != "__main__"]))
"""
_TIMES = """
import importlib, json, sys, time
times = []
for name in json.load(sys.stdin):
    began = time.process_time()
    importlib.import_module(name)
    times.append(time.process_time() - began)
print(json.dumps(times))
"""
_SETTINGS = {
    "SUPABASE_URL": "http://127.0.0.1:1",
    "SUPABASE_SERVICE_ROLE_KEY": "nobody-is-asked-at-this-address",
    "FLOW_ACCESS_NODE": "127.0.0.1:1",
    "FLOW_CONTRACT_ADDRESS": "0x0000000000000001",
    "RECONCILE_QUEUE_URL": "http://127.0.0.1:1/queue",
}
"""Enough to make the services; nothing is connected to."""


def cold_start(progress: Progress, rounds: int = ROUNDS) -> dict[str, Any]:
    """CPU seconds that imports take in new interpreters, the best of `rounds`, with files and
    bytecode in the system's cache. Libraries alone and functions take turns.

    The ratio is that of everything a function imports until its first answer, not of its module
    alone, which puts the clients off. boto3 is not in it: only a message that is sent needs it.
    """
    names = function_names()
    progress(f"Importing {len(names)} functions in new interpreters")
    modules = {name: modules_of(name) for name in names}
    libraries: list[float] = []
    imports: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(rounds):
        libraries.append(sum(_import_s(_LIBRARIES)))
        for name in names:
            imports[name].append(_import_s((f"functions.{name}", *modules[name])))
    whole = {name: min(map(sum, times)) for name, times in imports.items()}
    libraries_s = min(libraries)
    return {
        "cold_libraries_s": libraries_s,
        "cold_module_s": {name: min(times[0] for times in imports[name]) for name in names},
        "cold_import_s": whole,
        "cold_import_ratio": max(whole.values()) / libraries_s,
    }


def package_size(progress: Progress) -> dict[str, float]:
    """MB of the package for Lambda, unzipped and as a zip; nothing if it cannot be made here."""
    with tempfile.TemporaryDirectory(prefix="balance-reconciliation-package-") as folder:
        output = Path(folder) / "functions.zip"
        try:
            unzipped_bytes = build(output, lambda_target(), progress)
        except PackageError as error:
            progress(f"The package's size is not known: {error}")
            return {}  # the other figures took long, and need no registry
        return {
            "package_unzipped_mb": unzipped_bytes / 2**20,
            "package_zip_mb": output.stat().st_size / 2**20,
        }


def first_calls(variables: Mapping[str, str], user_address: str, warm_calls: int) -> dict[str, Any]:
    """Invocations of reconcile_user's handler in a new interpreter. Raises BenchError."""
    answer: dict[str, Any] = json.loads(
        _output(["-m", "tools.bench.invoke", user_address, str(warm_calls)], variables)
    )
    return answer


def function_names() -> list[str]:
    """All functions, by their modules."""
    modules = sorted((_ROOT / "functions").glob("*.py"))
    return [module.stem for module in modules if module.stem != "__init__"]


def modules_of(function: str) -> list[str]:
    """All that is imported when its services are made, in order."""
    modules: list[str] = json.loads(
        _output(["-c", _MODULES, f"functions.{function}", *USES[function]], os.environ | _SETTINGS)
    )
    return modules


def _import_s(modules: Sequence[str]) -> list[float]:
    times: list[float] = json.loads(_output(["-c", _TIMES], os.environ, json.dumps(modules)))
    return times


def _output(arguments: Sequence[str], variables: Mapping[str, str], given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env=dict(variables),
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"a process of its own failed:\n{done.stderr[-2000:]}")
    return done.stdout
