"""Attributes that are made at their first use, and once, even if two threads come at once."""

from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

_lock = RLock()  # one for all: what is made uses what else is made

if TYPE_CHECKING:
    made_once = cached_property
else:

    class made_once(cached_property):
        """`functools.cached_property` with the lock that it lost in Python 3.12."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                return self
            with _lock:
                return super().__get__(instance, owner)
