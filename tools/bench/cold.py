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
_FIRST_CALL = "shared.bootstrap"
"""What every function imports at its first call: both clients and the services over them."""
_PROGRAM = """
import importlib, json, sys, time
times = []
for name in sys.argv[1:]:
    began = time.perf_counter()
    importlib.import_module(name)
    times.append(time.perf_counter() - began)
print(json.dumps(times))
"""


def cold_start(progress: Progress, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds that imports take in new interpreters, the best of `rounds`, files and bytecode in
    the system's cache. Libraries alone and functions take turns.

    The ratio is that of everything a function imports until its first answer, not of its module
    alone, which puts the clients off.
    """
    names = function_names()
    progress(f"Importing {len(names)} functions in new interpreters")
    libraries: list[float] = []
    imports: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(rounds):
        libraries.append(sum(_import_s(_LIBRARIES)))
        for name in names:
            imports[name].append(_import_s((f"functions.{name}", _FIRST_CALL)))
    whole = {name: min(map(sum, times)) for name, times in imports.items()}
    libraries_s = min(libraries)
    return {
        "cold_libraries_s": libraries_s,
        "cold_module_s": {name: min(first for first, _ in imports[name]) for name in names},
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


def _import_s(modules: Sequence[str]) -> list[float]:
    times: list[float] = json.loads(_output(["-c", _PROGRAM, *modules], os.environ))
    return times


def _output(arguments: Sequence[str], variables: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env=dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"a process of its own failed:\n{done.stderr[-2000:]}")
    return done.stdout
