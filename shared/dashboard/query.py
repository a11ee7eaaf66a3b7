"""What a page's address says about it, checked."""

from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from shared.dashboard.visit import Visit
from shared.http.problem import Problem

Choice = TypeVar("Choice", bound=StrEnum)


def uuid_arg(visit: Visit, name: str) -> UUID | None:
    """An id, or None when there is none. Raises a 422 Problem."""
    text = visit.args.get(name, "")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise _wrong(name) from None


def choice_arg(visit: Visit, name: str, choices: type[Choice]) -> Choice | None:
    """One of several words, or None when there is none. Raises a 422 Problem."""
    text = visit.args.get(name, "")
    try:
        return choices(text) if text else None
    except ValueError:
        raise _wrong(name) from None


def text_arg(visit: Visit, name: str, chars_max: int) -> str:
    """What somebody typed, without space around it. Raises a 422 Problem when it is too long."""
    text = visit.args.get(name, "").strip()
    if len(text) > chars_max:
        raise _wrong(name)
    return text


def _wrong(name: str) -> Problem:
    return Problem(422, "invalid_input", f"`{name}` in the page's address cannot be right.")
