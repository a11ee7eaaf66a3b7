"""Workers that die: reads lines `(tick|resume) CALL (before|during|after) NUMBER`, and answers each
with the signal that has killed the worker, or 0.

A worker is a process of its own, forked because importing both clients takes seconds. It goes on
with the active run, or ticks, until it is about to make the NUMBERth call of CALL, waits for its
answer, or has just got it: then it kills itself, as kill -9 does. CALL is a procedure's name, or
`script`.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from itertools import count
from threading import Timer
from typing import Any

import httpx

from shared.adapters.flow_contract import FlowContract
from shared.bootstrap import services
from shared.services.plan_run import RunRequest

DURING_S = 0.5
"""When to die of a call that takes longer."""

Call = Callable[..., Any]


def main() -> None:
    for line in sys.stdin:
        print(signal_of_worker(*line.split()), flush=True)


def signal_of_worker(use_case: str, name: str, moment: str, number: str) -> int:
    """What has killed a worker."""
    pid = os.fork()
    if pid:
        return os.WTERMSIG(os.waitpid(pid, 0)[1])
    try:
        wait_for_death(name, moment, int(number))
        work(use_case)
    except BaseException:
        traceback.print_exc()
    os._exit(0)


def wait_for_death(name: str, moment: str, number: int) -> None:
    """Make that call the last one."""
    numbers = count(1)

    def deadly(call: Call, is_named: Callable[..., bool]) -> Call:
        def called(*args: Any, **kwargs: Any) -> Any:
            last = is_named(*args) and next(numbers) == number
            if last and moment == "before":
                die()
            if last and moment == "during":
                Timer(DURING_S, die).start()
            answer = call(*args, **kwargs)
            if last:
                die()
            return answer

        return called

    def is_procedure(_: httpx.Client, request: httpx.Request) -> bool:
        return request.url.path.endswith(f"/rpc/{name}")

    if name == "script":
        script = deadly(FlowContract.balances_at, lambda *_: True)
        FlowContract.balances_at = script  # type: ignore[method-assign]
    else:
        send = deadly(httpx.Client.send, is_procedure)
        httpx.Client.send = send  # type: ignore[method-assign]


def work(use_case: str) -> None:
    if use_case == "tick":
        request = RunRequest(admin_address="CRON")
        services().ticker.tick(request, incremental=False, should_stop=lambda: False)
    else:
        services().sweeper.resume()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
