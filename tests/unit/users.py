"""Addresses for tests."""

from shared.core.address import FlowAddress


def user(number: int) -> FlowAddress:
    """The address with this number, in normal form; letters in it, so that case matters."""
    return FlowAddress(f"0xabcdef{number:010x}")
