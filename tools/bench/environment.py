"""The settings of a stack for this process and for those it starts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared import bootstrap
from shared.settings import Settings
from tools.bench.options import Options
from tools.stack import Stack


def environment(stack: Stack, options: Options, **changed: str) -> dict[str, str]:
    """The environment variables of a benchmark; whatever the caller had set is left out."""
    names = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    ours = {
        "FLOW_MAX_SCRIPTS_PER_S": "0",
        "RECONCILE_SETTLE_S": "0",
        "RECONCILE_BATCH_SIZE": str(options.batch_size),
    }
    return kept | stack.env | ours | changed


@contextmanager
def services_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Lets the process's services be made from these variables, and closes them in the end."""
    before = dict(os.environ)
    _replace(variables)
    try:
        yield
    finally:
        _replace(before)


def _replace(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    bootstrap.reset()
