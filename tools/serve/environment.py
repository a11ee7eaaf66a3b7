"""Which ledger and which contract are served."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.stack import StackError, start_stack, stderr_progress
from tools.stack.folder import StateFolder

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """Where the settings are: in a stack's file, or with None in this process's environment."""

    env_file: Path | None

    @property
    def is_local(self) -> bool:
        """Whether it is a stack of this machine, where nobody else's money is."""
        return self.env_file is not None


@contextmanager
def environment() -> Iterator[Environment]:
    """Sees to it that this process and those that it starts have settings.

    Raises StackError if the stack that .env.local belongs to is down, or none can be started.
    """
    given = Path(os.environ.get("RECONCILE_ENV_FILE", _ROOT / ".env.local"))
    if os.environ.get("SUPABASE_URL"):
        yield Environment(None)
    elif given.exists():
        _check_stack_runs()
        os.environ["RECONCILE_ENV_FILE"] = str(given.absolute())
        yield Environment(given.absolute())
    else:
        with (
            tempfile.TemporaryDirectory(prefix="reconcile-serve-") as folder,
            start_stack(Path(folder) / "stack", progress=stderr_progress()) as stack,
        ):
            os.environ["RECONCILE_ENV_FILE"] = str(stack.env_file)
            yield Environment(stack.env_file)


def _check_stack_runs() -> None:
    folder = StateFolder(_ROOT / ".stack")
    if folder.ports() and folder.running().keys() != folder.ports().keys():
        raise StackError("The stack of .env.local is down. Start it with `make stack-up`.")
