"""`python -m tools.deploy <what osls takes>`: osls on this checkout's serverless.yml.

`deploy --stage prod`, `info --stage prod`, `rollback --stage prod --timestamp …`. The credentials
for AWS are the environment's.
"""

import subprocess
import sys
from pathlib import Path

from tools.deploy.osls import DeployError, command
from tools.stack.errors import StackError
from tools.stack.progress import stderr_progress

_ROOT = Path(__file__).parents[2]


def main() -> int:
    """Returns what osls returns, or 1 when it cannot be run."""
    try:
        osls = command(sys.argv[1:], stderr_progress())
    except (DeployError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return subprocess.run(osls, cwd=_ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
