"""A local stack of real servers: PostgreSQL, PostgREST and the Flow emulator, on loopback ports.

    from tools.stack import start_stack, stderr_progress

    with start_stack(Path("state"), progress=stderr_progress()) as stack:
        ...  # stack.env has the settings; stack.postgrest.stop() and .start() provoke failures

`python -m tools.stack up|down|status` does the same for a checkout, and leaves the servers running.
"""

from tools.stack.errors import StackError
from tools.stack.node_tools import find_pgtap_sql
from tools.stack.progress import stderr_progress
from tools.stack.stack import Stack, start_stack

__all__ = ["Stack", "StackError", "find_pgtap_sql", "start_stack", "stderr_progress"]
