"""Cadence files of this project, with their imports resolved."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CADENCE_ROOT = PROJECT_ROOT / "cadence"

_STRING_IMPORT = re.compile(r'^import "(\w+)"$', re.MULTILINE)


def read_cadence(path: Path | str, addresses: Mapping[str, str] | None = None) -> str:
    """The file's code with every `import "Name"` turned into `import Name from 0x…`.

    `path` is absolute or below `cadence/`. Addresses come from `addresses` by contract name, then
    from the emulator aliases in flow.json. KeyError names a contract that neither knows.
    """
    return resolve_imports((CADENCE_ROOT / path).read_text("utf-8"), addresses)


def resolve_imports(code: str, addresses: Mapping[str, str] | None = None) -> str:
    """See `read_cadence`."""
    known = emulator_aliases() | dict(addresses or {})
    return _STRING_IMPORT.sub(lambda match: f"import {match[1]} from {known[match[1]]}", code)


@cache
def emulator_aliases() -> dict[str, str]:
    """Addresses by name of the contracts that every emulator has."""
    config = json.loads((PROJECT_ROOT / "flow.json").read_text("utf-8"))
    return {
        name: f"0x{dependency['aliases']['emulator']}"
        for name, dependency in config["dependencies"].items()
    }
