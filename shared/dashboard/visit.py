"""One request of one person: who that is, what a page needs, and what a handler answers with."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from flask import Request, Response
from werkzeug.datastructures import MultiDict

from shared.core.access import Permission
from shared.dashboard.assets import asset_path
from shared.dashboard.csrf import FIELD, csrf_token
from shared.dashboard.navigation import NAVIGATION
from shared.dashboard.place import Place
from shared.dashboard.rendering import render
from shared.dashboard.session import SESSION_S, Session, Sessions
from shared.dashboard.signing import Signer
from shared.http.actor import Actor, forbidden
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.bootstrap import Services

Tone = Literal["good", "bad", "plain"]

SESSION_COOKIE = "reconcile_session"
VISITOR_COOKIE = "reconcile_visitor"
NOTICE_COOKIE = "reconcile_notice"
HTML_TYPE = "text/html; charset=utf-8"
NOTICE_CHARS_MAX = 600
_NOTICE_S = 300


@dataclass(slots=True)
class _Cookie:
    value: str
    max_age_s: int | None


@dataclass
class Visit:
    """What a handler gets. `actor` is None on the pages for people who have not signed in."""

    request: Request
    config: Settings
    secret: str
    place: Place
    now: datetime
    session: Session | None = None
    actor: Actor | None = None
    _cookies: dict[str, _Cookie] = field(default_factory=dict)

    @property
    def services(self) -> "Services":
        """The use cases. Importing them takes a second, so pages that need none do without."""
        from shared import bootstrap

        return bootstrap.services()

    @property
    def args(self) -> MultiDict[str, str]:
        """The query."""
        return self.request.args

    @property
    def form(self) -> MultiDict[str, str]:
        """What was sent by POST."""
        return self.request.form

    @property
    def admin(self) -> str:
        """Whom audit rows and runs name."""
        assert self.actor is not None, "only a page with a permission acts"
        return self.actor.name

    def may(self, permission: Permission) -> bool:
        """Does the page show what needs the permission?"""
        return self.actor is not None and self.actor.role.allows(permission)

    def require(self, permission: Permission) -> None:
        """Raises a 403 Problem."""
        if not self.may(permission):
            role = "Nobody" if self.actor is None else f"The role {self.actor.role}"
            raise forbidden(f"{role} may not do this", "Sign in as somebody with the role admin.")

    def url(self, path: str, **query: object) -> str:
        """The link to a path of ours, `/runs/…`; query parameters that are None or empty are left
        out. Parts of the path that are not ours are to be quoted: `quoted(text)`."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self.place.root + path + (f"?{urlencode(given, doseq=True)}" if given else "")

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A page. Templates have `visit`, `url`, `quoted`, `csrf`, `may_write`, `notice` too."""
        text = render(template, **self._common(), **values)
        return Response(text, status, content_type=HTML_TYPE)

    def redirect(self, path: str, *, notice: str = "", tone: Tone = "good") -> Response:
        """303 to a path of ours, which then shows `notice` once: what has been done, in a sentence.

        `path` may have a query.
        """
        if notice:
            signed = self._notices.sign([notice[:NOTICE_CHARS_MAX], tone])
            self.set_cookie(NOTICE_COOKIE, signed, _NOTICE_S)
        return Response(status=303, headers={"Location": self.place.root + path})

    # -- session -------------------------------------------------------------------------------

    def begin_session(self, session: Session) -> None:
        """The person is signed in from the next request on."""
        self.set_cookie(
            SESSION_COOKIE, Sessions(self.config, self.secret).cookie(session), SESSION_S
        )
        self.drop_cookie(VISITOR_COOKIE)

    def end_session(self) -> None:
        self.drop_cookie(SESSION_COOKIE)

    @cached_property
    def holder(self) -> str:
        """Whom the tokens of forms are made for: the session or, before there is one, a visitor."""
        if self.session is not None:
            return f"session {self.session.id}"
        known = self._visitors.read(self.request.cookies.get(VISITOR_COOKIE, ""))
        if not isinstance(known, str):
            known = secrets.token_urlsafe(18)
            self.set_cookie(VISITOR_COOKIE, self._visitors.sign(known), None)
        return f"visitor {known}"

    # -- cookies -------------------------------------------------------------------------------

    def set_cookie(self, name: str, value: str, max_age_s: int | None) -> None:
        """None: until the browser is closed."""
        self._cookies[name] = _Cookie(value, max_age_s)

    def drop_cookie(self, name: str) -> None:
        if name in self.request.cookies or name in self._cookies:
            self._cookies[name] = _Cookie("", 0)

    def with_cookies(self, response: Response) -> Response:
        """The response with the cookies that were set on the way."""
        for name, cookie in self._cookies.items():
            response.set_cookie(
                name,
                cookie.value,
                max_age=cookie.max_age_s,
                path=self.place.cookie_path,
                secure=self.place.is_secure,
                httponly=True,
                samesite="Lax",  # Strict would ask who follows the link of an alert to sign in anew
            )
        return response

    def _common(self) -> Mapping[str, Any]:
        return {
            "visit": self,
            "url": self.url,
            "asset": lambda name: self.place.root + asset_path(name),
            "quoted": quoted,
            "csrf": csrf_token(self.secret, self.holder),
            "csrf_field": FIELD,
            "actor": self.actor,
            "may_write": self.may(Permission.WRITE),
            "navigation": NAVIGATION,
            "here": self.request.path,
            "notice": self._taken_notice(),
            "now": self.now,
        }

    def _taken_notice(self) -> tuple[str, str] | None:
        given = self._notices.read(self.request.cookies.get(NOTICE_COOKIE, ""))
        self.drop_cookie(NOTICE_COOKIE)
        if isinstance(given, list) and len(given) == 2:
            return str(given[0]), str(given[1])
        return None

    @property
    def _notices(self) -> Signer:
        return Signer(self.secret, "notice")

    @property
    def _visitors(self) -> Signer:
        return Signer(self.secret, "visitor")


def quoted(text: object) -> str:
    """A text as one part of a path."""
    return quote(str(text), safe="")
