"""Environment variables, or those of a local stack's env file."""

import os
from collections.abc import Iterable


def read_environment(names: Iterable[str]) -> dict[str, str]:
    """Those of the variables that are set and not empty.

    The env file (RECONCILE_ENV_FILE, else .env.local) adds to them when SUPABASE_URL is not in the
    environment.
    """
    variables: dict[str, str | None] = dict(os.environ)
    if not variables.get("SUPABASE_URL"):
        variables = _of_file(os.environ.get("RECONCILE_ENV_FILE", ".env.local")) | {
            name: value for name, value in variables.items() if value
        }
    return {name: value for name in names if (value := variables.get(name))}


def _of_file(path: str) -> dict[str, str | None]:
    """Nothing if there is no such file."""
    from dotenv import dotenv_values  # here, because no deployed function has such a file

    return dotenv_values(path, encoding="utf-8")
