"""What a person needs who has just typed `make serve`: addresses, a key, commands to paste."""

import sys
from pathlib import Path

from tools.serve.aws import LocalAws
from tools.serve.environment import Environment
from tools.serve.functions import FUNCTIONS

# Any address: the ledger's row is created when there is none.
_EXAMPLE_USER = "0xf8d6e0586b0a20c7"


def introduction(base: str, aws: LocalAws, api_key: str, found: Environment) -> str:
    """The text; `base` is the address of the functions."""
    key = '-H "Authorization: Bearer $KEY"'
    post = f"curl -sS {key} -H 'Content-Type: application/json' -d"
    return "\n".join(
        [
            "Serving (Ctrl-C stops):",
            *(f"  {base}/{name}" for name in FUNCTIONS),
            f"  queue              {aws.queue_url}",
            f"  dead-letter queue  {aws.dead_letter_url}",
            f"  topic              {aws.topic_arn} at {aws.url}",
            "",
            f"Open {base}/dashboard in a browser and sign in with this key, valid until this ends:",
            f"  {api_key}",
            "",
            "Try in another shell:",
            f"  export KEY={api_key}",
            f"  curl -sS {key} {base}/dry_run_report",
            f"  curl -sS {key} '{base}/dry_run_report?format=csv'",
            f"  curl -sS {key} -o run.pdf '{base}/report?kind=run&runId=latest&format=pdf'",
            f"""  {post} '{{"userAddress": "{_EXAMPLE_USER}"}}' {base}/reconcile_user""",
            f"  {post} '{{}}' {base}/sweep",
            *_commands(found),
        ]
    )


def _commands(found: Environment) -> list[str]:
    if found.env_file is None:
        return []
    python = Path(sys.executable)
    command = f"  RECONCILE_ENV_FILE='{found.env_file}' '{python}' -m shared.cli"
    return [f"{command} runs", f"{command} alerts"]
