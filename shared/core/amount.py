"""Exact FLOW amounts: an integer number of 1e-8 FLOW inside, a decimal with 8 places outside.

Bounds are those of Cadence's `UFix64` (an unsigned 64-bit integer of 1e-8 units).
"""

import re
from typing import NewType

from shared.core.errors import InvalidInput

FlowAmount = NewType("FlowAmount", int)
"""An amount or a signed difference of amounts, in units of 1e-8 FLOW."""

UNITS_PER_FLOW = 100_000_000
ZERO = FlowAmount(0)
SMALLEST = FlowAmount(1)
UFIX64_MAX = FlowAmount(2**64 - 1)

_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)


def parse_amount(text: str, *, field: str = "amount") -> FlowAmount:
    """Read a decimal string such as `12.5` or `-0.00000001` exactly.

    Raises InvalidInput when `text` is no plain decimal or is finer than 1e-8 FLOW.
    """
    if not _DECIMAL.fullmatch(text):
        raise InvalidInput(
            f"{field} {text[:40]!r} is not a decimal number",
            remedy="Write it as digits with at most 8 decimal places, such as 12.50000000.",
        )
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > 8:
        raise InvalidInput(
            f"{field} {text[:40]!r} is finer than 0.00000001 FLOW",
            remedy="Write it with at most 8 decimal places.",
        )
    return FlowAmount(int(whole + fraction.ljust(8, "0")))


def format_amount(amount: FlowAmount) -> str:
    """Write an amount as a decimal string with exactly 8 places, such as `-0.00000001`."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), UNITS_PER_FLOW)
    return f"{sign}{whole}.{fraction:08d}"
