"""`python -m tools.serve [--port N]`: everything that is deployed, on this machine, until Ctrl-C.

The HTTP functions at one loopback port, a schedule that calls sweep, a queue in moto's SQS with a
worker that calls sweep_chunk, and an indexer that calls the webhook. They use the environment if
it has SUPABASE_URL, else .env.local (the stack of `make stack-up`), else a stack of their own.
"""

import argparse
import os
import signal
import socket
import sys
from typing import NoReturn

from shared.core.errors import InvalidSettings
from shared.settings import settings
from tools.serve.access import grant_access
from tools.serve.aws import local_aws
from tools.serve.environment import Environment, environment
from tools.serve.introduction import introduction
from tools.serve.parts import PartEnded, Parts
from tools.stack import StackError
from tools.stack.ports import LOOPBACK


def main() -> int:
    """Serves until Ctrl-C or SIGTERM. Returns 0 then; 1 if it cannot start or a part has ended;
    130 when it was interrupted before it served.
    """
    arguments = _arguments()
    # SIGINT too: it is ignored in what a shell script has started in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with environment() as found:
            return serve(arguments, found)
    except (StackError, InvalidSettings, PartEnded) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was started is ended.", file=sys.stderr)
        return 130


def serve(arguments: argparse.Namespace, found: Environment) -> int:
    """Serves until it is interrupted. Raises InvalidSettings, StackError when the port is taken,
    and PartEnded.
    """
    api_key = grant_access()
    config = settings()
    follows = found.is_local if arguments.follow is None else arguments.follow
    with (
        _listener(arguments.port) as listener,
        local_aws(visibility_s=config.reconcile_lease_s) as aws,
        Parts() as parts,
    ):
        base = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        os.environ["RECONCILE_DASHBOARD_URL"] = f"{base}/dashboard"
        parts.start("functions", str(listener.fileno()), keep=(listener.fileno(),))
        parts.start("queue", aws.queue_url)
        if follows:
            every = f"--every={arguments.every}", f"--full-every={arguments.full_every}"
            parts.start("schedule", *every)
            parts.start(
                "timer",
                f"solvency={arguments.solvency_every}",
                f"watchdog={arguments.watchdog_every}",
                f"verify_audit={arguments.verify_audit_every}",
            )
            parts.start("indexer", f"{base}/indexer_webhook")
        print(introduction(base, aws, api_key, found), flush=True)
        try:
            parts.wait()
        except KeyboardInterrupt:
            print("Stopping.", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=0, help="default: a free one")
    parser.add_argument(
        "--every", type=_seconds, default=60.0, help="seconds between incremental sweeps (60)"
    )
    parser.add_argument(
        "--full-every", type=_seconds, default=3600.0, help="seconds between full sweeps (3600)"
    )
    parser.add_argument(
        "--watchdog-every",
        type=_seconds,
        default=60.0,
        help="seconds between looks after ended runs and unsent alerts (60)",
    )
    parser.add_argument(
        "--solvency-every",
        type=_seconds,
        default=300.0,
        help="seconds between solvency checks (300)",
    )
    parser.add_argument(
        "--verify-audit-every",
        type=_seconds,
        default=3600.0,
        help="seconds between looks through the audit log (3600)",
    )
    parser.add_argument(
        "--follow",
        action=argparse.BooleanOptionalAction,
        help="run the schedule and the indexer, which correct the ledger without being asked; "
        "default: only on a local stack, not when the environment has SUPABASE_URL",
    )
    return parser.parse_args()


def _listener(port: int) -> socket.socket:
    # Bound here, so that the address is known, and answers once the functions are there.
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StackError(
            f"Port {port} cannot be used ({error.strerror}). Give --port another, or none."
        ) from error
    return listener


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
