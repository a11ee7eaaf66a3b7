"""From a method and a path to the function that answers it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response

from shared.core.access import Permission

Handler = Callable[..., Response]
"""`(visit, **parts of the path) -> Response`."""

_PART = re.compile(r"\{([a-z_]+)(?::(uuid|rest))?\}")
_PATTERNS = {
    None: r"[^/]+",
    "uuid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "rest": r".+",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `permission` None: for people who have not signed in as well."""

    method: str
    path: str
    pattern: "re.Pattern[str]"
    permission: Permission | None
    handler: Handler
    uuids: frozenset[str]

    def parts(self, path: str) -> dict[str, Any] | None:
        """What the path's parts are, or None when it is another path."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {
            name: UUID(text) if name in self.uuids else text
            for name, text in found.groupdict().items()
        }


class Routes:
    """Collects the routes of a module: `@routes.get("/runs/{run_id:uuid}")`.

    A part `{name}` is text without a slash, `{name:uuid}` a UUID, `{name:rest}` all that follows.
    """

    def __init__(self) -> None:
        self.all: list[Route] = []

    def get(
        self, path: str, *, permission: Permission | None = Permission.READ
    ) -> Callable[[Handler], Handler]:
        """A page."""
        return self._add("GET", path, permission)

    def post(
        self, path: str, *, permission: Permission | None = Permission.WRITE
    ) -> Callable[[Handler], Handler]:
        """What a form sends; its token is checked before the handler sees it."""
        return self._add("POST", path, permission)

    def _add(
        self, method: str, path: str, permission: Permission | None
    ) -> Callable[[Handler], Handler]:
        def decorate(handler: Handler) -> Handler:
            route = Route(method, path, _compiled(path), permission, handler, _uuids(path))
            self.all.append(route)
            return handler

        return decorate


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the parts of the path that it was found by."""

    route: Route
    parts: dict[str, Any]


class Router:
    """Finds the first route that fits."""

    def __init__(self, routes: Iterable[Routes]) -> None:
        self.routes = tuple(route for each in routes for route in each.all)

    def find(self, method: str, path: str) -> Match | None:
        """HEAD is GET. None: there is nothing at this path for this method."""
        wanted = "GET" if method == "HEAD" else method
        return next((each for each in self._matches(path) if each.route.method == wanted), None)

    def methods(self, path: str) -> tuple[str, ...]:
        """What may be asked of a path; nothing when it is none."""
        return tuple(dict.fromkeys(each.route.method for each in self._matches(path)))

    def _matches(self, path: str) -> list[Match]:
        found = ((route, route.parts(path)) for route in self.routes)
        return [Match(route, parts) for route, parts in found if parts is not None]


def _compiled(path: str) -> "re.Pattern[str]":
    pieces, end = [], 0
    for part in _PART.finditer(path):
        pieces += [re.escape(path[end : part.start()]), f"(?P<{part[1]}>{_PATTERNS[part[2]]})"]
        end = part.end()
    return re.compile("".join(pieces) + re.escape(path[end:]))


def _uuids(path: str) -> frozenset[str]:
    return frozenset(part[1] for part in _PART.finditer(path) if part[2] == "uuid")
