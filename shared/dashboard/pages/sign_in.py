"""Sign in, by e-mail address and password or by a key, and sign out."""

import logging
import re
from datetime import datetime

from flask import Response

from shared.core.access import TokenRejected, find_api_key
from shared.core.errors import SignInRefused
from shared.dashboard.attempts import take_attempt
from shared.dashboard.routing import Routes
from shared.dashboard.session import Session, Sessions
from shared.dashboard.visit import Visit, quoted

routes = Routes()

EMAIL_CHARS_MAX = 320
PASSWORD_CHARS_MAX = 1_000
KEY_CHARS_MAX = 1_000

_NOT_ACCEPTED = "That is not accepted. Check what you entered and try again."
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1000}", re.ASCII)
"""A path here: no host after two slashes, no backslash, which browsers take for a slash."""

_log = logging.getLogger(__name__)


@routes.get("/sign-in", permission=None)
def sign_in_page(visit: Visit) -> Response:
    """The two forms; who has signed in goes on."""
    wanted = own_path(visit.args.get("next", ""))
    if visit.actor is not None:
        return visit.redirect(wanted)
    return visit.page("sign_in.html", next=wanted, by_email=visit.config.checks_tokens)


@routes.post("/sign-in/key", permission=None)
def by_key(visit: Visit) -> Response:
    """With a key of RECONCILE_API_KEYS."""
    take_attempt(visit)
    given = visit.form.get("key", "").strip()[:KEY_CHARS_MAX]
    key = find_api_key(visit.config.reconcile_api_keys, given)
    if key is None:
        return _not_accepted(visit, "key")
    return _signed_in(visit, _sessions(visit).of_key(key, visit.now))


@routes.post("/sign-in/email", permission=None)
def by_email(visit: Visit) -> Response:
    """With an account of Supabase Auth; its token is verified as those of other callers are."""
    email, password = visit.form.get("email", "").strip(), visit.form.get("password", "")
    take_attempt(visit, account=email[:EMAIL_CHARS_MAX])
    if not visit.config.checks_tokens:
        return _not_accepted(visit, "e-mail address")
    if len(email) > EMAIL_CHARS_MAX or len(password) > PASSWORD_CHARS_MAX:
        return _not_accepted(visit, "e-mail address")
    try:
        session = _session_of_account(visit, email, password, visit.now)
    except SignInRefused:
        return _not_accepted(visit, "e-mail address")
    except TokenRejected as error:
        _log.error("Supabase Auth gave a token that is not believed here: %s", error)
        return _not_accepted(visit, "e-mail address")
    return _signed_in(visit, session)


@routes.post("/sign-out", permission=None)
def sign_out(visit: Visit) -> Response:
    """Ends the session in this browser."""
    if visit.actor is not None:
        _log.info("%s signed out", visit.actor.id)
    visit.end_session()
    return visit.redirect("/sign-in", notice="You have signed out.")


def own_path(text: str) -> str:
    """Where to go after the sign-in: a path here, or else the overview."""
    return text if _OWN_PATH.fullmatch(text) else "/"


def _session_of_account(visit: Visit, email: str, password: str, now: datetime) -> Session:
    """Raises SignInRefused, SignInUnreachable, TokenRejected, and a 403 Problem without a role."""
    # Here, because most visits are of people who have signed in.
    from shared.adapters.supabase_sign_in import SupabaseSignIn
    from shared.http.access import actor_of_claims, verified_claims

    config = visit.config
    accounts = SupabaseSignIn(
        str(config.supabase_url), config.supabase_service_role_key.get_secret_value()
    )
    claims = verified_claims(accounts.token(email, password), config)
    actor_of_claims(claims, config)
    return _sessions(visit).of_claims(claims, now)


def _signed_in(visit: Visit, session: Session) -> Response:
    _log.info("%s:%s signed in to the dashboard", session.via, session.name)
    visit.begin_session(session)
    return visit.redirect(own_path(visit.form.get("next", "")))


def _not_accepted(visit: Visit, what: str) -> Response:
    _log.warning("A sign-in by %s was not accepted", what)
    wanted = own_path(visit.form.get("next", ""))
    return visit.redirect(f"/sign-in?next={quoted(wanted)}", notice=_NOT_ACCEPTED, tone="bad")


def _sessions(visit: Visit) -> Sessions:
    return Sessions(visit.config, visit.secret)
