"""Flow addresses: 8 bytes, `0x` and 16 lower-case hex digits towards the chain."""

import re
from typing import NewType

from shared.core.errors import InvalidAddress

FlowAddress = NewType("FlowAddress", str)
"""A normal-form address: `0x` + 16 lower-case hex digits."""

KEY_CHARS_MAX = 200

# Strict length: a shortened address would silently be padded to a different user's.
_ADDRESS = re.compile(r"(?:0x)?([0-9a-fA-F]{16})", re.ASCII)


def parse_address(text: str) -> FlowAddress:
    """Bring an address to normal form. Accepts either case, with or without `0x`.

    Raises InvalidAddress for any other length, prefix, digit or surrounding space.
    """
    normal = normal_form(text)
    if normal is None:
        raise InvalidAddress(
            f"user address {text[:60]!r} is not a Flow address",
            remedy="Give 0x and 16 hexadecimal digits, such as 0xf8d6e0586b0a20c7.",
        )
    return normal


def normal_form(text: str) -> FlowAddress | None:
    """The normal form of a stored key, or None when it is no address (never raises)."""
    match = _ADDRESS.fullmatch(text)
    return FlowAddress("0x" + match[1].lower()) if match else None


def check_key(text: str) -> str:
    """A key that a ledger may hold a user under, unchanged: 1 to 200 printable characters, of an
    address or not. Raises InvalidAddress."""
    if isinstance(text, str) and 0 < len(text) <= KEY_CHARS_MAX and text.isprintable():
        return text
    raise InvalidAddress(
        "the user is blank, too long or not printable",
        remedy="Give the address as the ledger holds it.",
    )


def spellings(text: str) -> tuple[str, ...]:
    """The keys under which a ledger may hold the user `text`: as given, then the usual ones."""
    digits = parse_address(text)[2:]
    usual = ("0x" + digits, digits, "0x" + digits.upper(), digits.upper())
    return tuple(dict.fromkeys((text, *usual)))
