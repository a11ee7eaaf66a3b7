"""`python -m tools.serve.schedule`: what EventBridge does with sweep, until SIGTERM.

A full sweep at the start and from time to time, an incremental one at every other tick. A tick goes
on with the run that is unfinished, so a full sweep stays due until its own run has started.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from functions import sweep
from tools.serve.part import Invocation, stop_event

TIMEOUT_S = 60.0
FULL = {"incremental": False}
"""The input of a schedule in serverless.yml, which EventBridge sends as the whole event."""
INCREMENTAL = {"incremental": True}

Call = Callable[[dict[str, Any]], dict[str, Any] | None]


def main() -> None:
    """Ticks until SIGTERM; a tick that is under way then is finished first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--full-every", type=float, required=True)
    arguments = parser.parse_args()
    tick(call, stop_event().wait, every_s=arguments.every, full_every_s=arguments.full_every)


def tick(
    call: Call,
    wait: Callable[[float], bool],
    *,
    every_s: float,
    full_every_s: float,
    now_s: Callable[[], float] = time.monotonic,
) -> None:
    """Calls `call` with the schedule's events until `wait`, given seconds, says that it is over.

    The answer of `call` is the run's JSON, or None when there is none.
    """
    full_due_s = now_s()
    while True:
        is_full = now_s() >= full_due_s
        run = call(FULL if is_full else INCREMENTAL)
        if is_full and run is not None and run["kind"] == "full":
            full_due_s = now_s() + full_every_s
        if wait(every_s):
            return


def call(event: dict[str, Any]) -> dict[str, Any] | None:
    """One call of sweep, with a line that says what came of it."""
    try:
        answer = sweep.handler(event, Invocation("sweep", TIMEOUT_S))
    except Exception as error:
        print(f"sweep failed with {type(error).__name__}: {error}", flush=True)
        return None
    run: dict[str, Any] = answer["run"]
    verb = "goes on" if answer["resumed"] else "starts"
    print(
        f"{run['kind']} run {run['runId']} {verb}: {run['state']}, "
        f"messages queued: {answer['queued']}",
        flush=True,
    )
    return run


if __name__ == "__main__":
    main()
