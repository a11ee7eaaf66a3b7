"""`python -m tools.serve.timer NAME=SECONDS …`: what EventBridge does with functions that want no
input, until SIGTERM: each is called at the start and then at its interval.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping

from tools.serve.part import Invocation, stop_event

TIMEOUT_S = 60.0
SHOWN_MAX = 300

EVENT = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
"""Of a schedule in serverless.yml without an input of its own."""


def main() -> None:
    """Calls until SIGTERM; a call that is under way then is finished first."""
    intervals = dict(_interval(argument) for argument in sys.argv[1:])
    tick(call, stop_event().wait, intervals)


def tick(
    call: Callable[[str], None],
    wait: Callable[[float], bool],
    every_s: Mapping[str, float],
    now_s: Callable[[], float] = time.monotonic,
) -> None:
    """Calls `call` with each name when it is due, until `wait`, given seconds, says it is over."""
    due_s = dict.fromkeys(every_s, now_s())
    while not wait(max(0.0, min(due_s.values()) - now_s())):
        name = min(due_s, key=lambda each: due_s[each])
        call(name)
        due_s[name] = now_s() + every_s[name]


def call(name: str) -> None:
    """One call of a function's handler, with a line that says what came of it."""
    try:
        handler = importlib.import_module(f"functions.{name}").handler
        answer = handler(EVENT, Invocation(name, TIMEOUT_S))
    except Exception as error:
        print(f"{name} failed with {type(error).__name__}: {error}", flush=True)
        return
    print(f"{name}: {json.dumps(answer)[:SHOWN_MAX]}", flush=True)


def _interval(argument: str) -> tuple[str, float]:
    name, _, seconds = argument.partition("=")
    return name, float(seconds)


if __name__ == "__main__":
    main()
