"""`reconcile keys new`: keys for callers of the HTTP functions."""

import json
import secrets

from shared.cli import exit_code
from shared.cli.commands import NewKey
from shared.cli.output import print_lines, writing
from shared.core.access import ApiKey, key_digest

_PREFIX = "rk_"
"""So that a scanner of leaked secrets can tell what it has found."""
_KEY_BYTES = 32


def print_new_key(command: NewKey) -> int:
    """Make a key and print it, the only time that it is seen."""
    key = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    setting = ApiKey(command.name, command.role, key_digest(key)).line()
    with writing():
        if command.as_json:
            shown = {"name": command.name, "role": command.role, "key": key, "setting": setting}
            print_lines([json.dumps(shown)])
        else:
            print_lines(
                [
                    f"The key, which is shown this once: {key}",
                    f"One of RECONCILE_API_KEYS:         {setting}",
                ]
            )
    return exit_code.FINE
