"""`python -I -S invoke.py <folder> <handler>`: a deployed function's process, as Lambda has it.

The folder is all that is on the path besides Python itself. A line of stdin is an event, a line of
stdout its answer: {"answer": …} or {"error": …}. What the function prints goes to stderr.
"""

import json
import os
import sys
import time
import traceback
from importlib import import_module

LEFT_S = 60.0


class Context:
    """What Lambda tells a function about its invocation."""

    def __init__(self, number: int) -> None:
        self.aws_request_id = f"00000000-0000-4000-8000-{number:012}"
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self._ends_at = time.monotonic() + LEFT_S

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._ends_at - time.monotonic()))


def main() -> None:
    folder, handler = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, folder)
    module, _, name = handler.rpartition(".")
    function = getattr(import_module(module), name)
    for number, line in enumerate(sys.stdin):
        try:
            said = {"answer": function(json.loads(line), Context(number))}
        except Exception as error:
            traceback.print_exc()
            said = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
