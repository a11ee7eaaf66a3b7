"""Who is let in to the functions, as whom, how often, and from which pages."""

import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import functions_framework
import httpx
import pytest
from supabase import ClientOptions, create_client
from werkzeug.test import Client, TestResponse

from shared.adapters.supabase_requests import SupabaseRequests
from shared.core.access import ApiKey, Permission, Role, find_api_key, key_digest
from shared.core.errors import LedgerBadAnswer, LedgerError, LedgerTimeout, LedgerUnreachable
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.sweep_result import SweepResult
from shared.http.actor import Actor
from shared.settings import settings
from tests.unit.runs import run
from tests.unit.serving import KEY, NAME, SECRET, served
from tests.unit.tokens import (
    JWT_SECRET,
    SUBJECT,
    es256_key,
    hs256,
    jwks_server,
    public_jwk,
    signed,
)

FUNCTIONS = Path(__file__).parents[2] / "functions"
USER = "0x0000000000000201"
IN_SYNC = ReconciliationResult(
    user_address=USER, outcome=Outcome.IN_SYNC, timestamp=datetime(2026, 1, 2, tzinfo=UTC)
)
KEYS = {role: f"key-of-a-{role}-{'0' * 32}" for role in Role}
PAGE = "https://admin.example"


class FakeServices:
    """Its own user reconciler, sweeper and request slots."""

    def __init__(self) -> None:
        self.user_reconciler = self.sweeper = self.request_slots = self
        self.admins: list[str] = []
        self.slots: list[tuple[str, int]] = []
        self.wait_s: float | Exception = 0.0

    def reconcile(self, user_address: str, admin_address: str) -> ReconciliationResult:
        self.admins.append(admin_address)
        return IN_SYNC

    def sweep(self, admin_address: str, *, dry_run: bool) -> SweepResult:
        self.admins.append(admin_address)
        return SweepResult(run(), ())

    def take(self, actor: str, per_min: int) -> float:
        self.slots.append((actor, per_min))
        if isinstance(self.wait_s, Exception):
            raise self.wait_s
        return self.wait_s


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    """A key for each role, and tokens by the secret."""
    fake = FakeServices()
    with served(monkeypatch, fake):
        lines = [ApiKey(f"a-{role}", role, key_digest(key)).line() for role, key in KEYS.items()]
        configure(monkeypatch, RECONCILE_API_KEYS=",".join(lines), SUPABASE_JWT_SECRET=JWT_SECRET)
        yield fake


def configure(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Changed settings, as another deployment would have them."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


@pytest.fixture
def writing(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    return client_of("reconcile_user")


@pytest.fixture
def reading(services: FakeServices) -> Client:  # noqa: ARG001
    return client_of("dry_run_report")


def client_of(name: str) -> Client:
    app = functions_framework.create_app(name, str(FUNCTIONS / f"{name}.py"))  # type: ignore[no-untyped-call]
    return Client(app)


def post(client: Client, token: str | None, admin: str | None = None, **headers: str) -> Any:
    body = {"userAddress": USER, **({} if admin is None else {"adminAddress": admin})}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return client.post("/", json=body, headers=headers)


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.get_data())
    assert problem["code"] == code
    return problem


# -- keys ------------------------------------------------------------------------------------


def test_roles_build_on_each_other() -> None:
    allowed = {role: {each for each in Permission if role.allows(each)} for role in Role}
    assert allowed == {
        Role.VIEWER: {Permission.READ},
        Role.ADMIN: {Permission.READ, Permission.WRITE},
        Role.DELEGATE: set(Permission),
    }


@pytest.mark.parametrize("role", Role)
def test_everybody_with_a_key_may_read(reading: Client, services: FakeServices, role: Role) -> None:
    response = reading.get("/", headers={"Authorization": f"Bearer {KEYS[role]}"})
    assert response.status_code == 200
    assert services.admins == [f"a-{role}"]


def test_a_viewer_may_not_write(writing: Client, services: FakeServices) -> None:
    response = post(writing, KEYS[Role.VIEWER])
    problem = assert_problem(response, 403, "forbidden")
    assert "admin" in problem["detail"]
    assert "insufficient_scope" in response.headers["WWW-Authenticate"]
    assert KEYS[Role.VIEWER] not in response.get_data(as_text=True)
    assert not services.admins


@pytest.mark.parametrize(
    ("role", "given", "recorded"),
    [
        (Role.ADMIN, None, "a-admin"),
        (Role.ADMIN, "a-admin", "a-admin"),
        (Role.DELEGATE, None, "a-delegate"),
        (Role.DELEGATE, "0x01cf0e2f2f715450", "0x01cf0e2f2f715450 by a-delegate"),
        (Role.DELEGATE, "a-admin", "a-admin by a-delegate"),
        (Role.DELEGATE, "Zoë by a-admin", "Zoë by a-admin by a-delegate"),
    ],
)
def test_the_audit_row_has_who_acted(
    writing: Client, services: FakeServices, role: Role, given: str | None, recorded: str
) -> None:
    assert post(writing, KEYS[role], given).status_code == 200
    assert services.admins == [recorded]


@pytest.mark.parametrize("given", ["0x01cf0e2f2f715450", "ADMIN", "A-ADMIN", "a-admin "])
def test_acting_for_another_needs_the_role(
    writing: Client, services: FakeServices, given: str
) -> None:
    assert_problem(post(writing, KEYS[Role.ADMIN], given), 403, "forbidden")
    assert not services.admins


@pytest.mark.parametrize("role", [Role.ADMIN, Role.DELEGATE])
@pytest.mark.parametrize("given", ["", " ", "a\nb", "x" * 201])
def test_a_name_that_is_none_is_refused(
    writing: Client, services: FakeServices, role: Role, given: str
) -> None:
    assert_problem(post(writing, KEYS[role], given), 422, "invalid_admin")
    assert not services.admins


def test_a_name_that_leaves_no_room_for_the_callers_is_refused(
    writing: Client, services: FakeServices
) -> None:
    assert_problem(post(writing, KEYS[Role.DELEGATE], "x" * 190), 422, "invalid_admin")
    assert not services.admins


def test_two_keys_of_one_name_serve_while_one_replaces_the_other(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = "another-key-with-more-than-32-letters"
    lines = [ApiKey(NAME, Role.ADMIN, key_digest(key)).line() for key in (KEY, new)]
    configure(monkeypatch, RECONCILE_API_KEYS=",".join(lines))
    assert [post(writing, key).status_code for key in (KEY, new)] == [200, 200]
    assert services.admins == [NAME, NAME]
    configure(monkeypatch, RECONCILE_API_KEYS=lines[1])
    assert [post(writing, key).status_code for key in (KEY, new)] == [401, 200]


@pytest.mark.parametrize("short", ["", "password", "x" * 31])
def test_a_short_key_is_never_right(short: str) -> None:
    assert find_api_key([ApiKey("a", Role.ADMIN, key_digest(short))], short) is None
    assert find_api_key([ApiKey("a", Role.ADMIN, key_digest("x" * 32))], "x" * 32)


@pytest.mark.parametrize("given", [*KEYS.values(), "x" * 40, "x"])
def test_every_key_is_compared_whichever_is_right(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    compared: list[str] = []
    compare = hmac.compare_digest

    def counting(known: str, digest: str) -> bool:
        compared.append(known)
        return compare(known, digest)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    keys = [ApiKey(f"a-{role}", role, key_digest(key)) for role, key in KEYS.items()]
    find_api_key(keys, given)
    assert compared == [key.digest for key in keys]


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {key_digest(KEYS[Role.ADMIN])}",  # what is configured opens nothing
        f"Bearer {KEYS[Role.ADMIN]},Bearer {KEYS[Role.ADMIN]}",  # two headers, as servers join them
        f"Bearer {KEYS[Role.ADMIN]} {KEYS[Role.ADMIN]}",
        f"Bearer {KEYS[Role.ADMIN].upper()}",
        f"Bearer {KEYS[Role.ADMIN]}\u00a0",
        f'Bearer "{KEYS[Role.ADMIN]}"',
        f"Bearer {KEYS[Role.ADMIN][:-1]}ö",
        f"Bearer {'x' * 9_000}",
        "Bearer " + "a." * 2 + "é",
        "Bearer ..",
    ],
)
def test_what_is_almost_a_key_is_refused(
    writing: Client, services: FakeServices, header: str
) -> None:
    response = post(writing, None, Authorization=header)
    assert_problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    assert "key-of" not in response.get_data(as_text=True)
    assert not services.admins


def test_a_header_that_no_wire_carries_is_refused(writing: Client) -> None:
    # An event of API Gateway is JSON, and may hold half of a character.
    environ = {"HTTP_AUTHORIZATION": f"Bearer {KEYS[Role.ADMIN]}\ud800"}
    assert_problem(writing.post("/", environ_overrides=environ), 401, "unauthorized")


def test_a_header_given_twice_is_refused(writing: Client, services: FakeServices) -> None:
    headers = [("Authorization", f"Bearer {KEYS[Role.ADMIN]}")] * 2
    response = writing.post("/", json={"userAddress": USER}, headers=headers)
    assert_problem(response, 401, "unauthorized")
    assert not services.admins


# -- tokens ----------------------------------------------------------------------------------


def test_a_person_acts_under_the_email_address(writing: Client, services: FakeServices) -> None:
    assert post(writing, hs256()).status_code == 200
    assert post(writing, hs256(email=None)).status_code == 200
    assert services.admins == ["alice@example.com", SUBJECT]


@pytest.mark.parametrize("role", ["delegate", "Admin", "authenticated", "", None, 7])
def test_an_account_without_a_known_role_is_refused(
    writing: Client, services: FakeServices, role: object
) -> None:
    response = post(writing, hs256(app_metadata={"role": role}))
    problem = assert_problem(response, 403, "forbidden")
    assert "app_metadata.role to one of: viewer, admin" in problem["detail"]
    assert not services.admins


def test_roles_are_those_of_the_settings(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_ROLES="staff=viewer,boss=delegate")
    statuses = [
        post(writing, hs256(app_metadata={"role": role}), "0x01").status_code
        for role in ("staff", "boss", "admin")
    ]
    assert statuses == [403, 200, 403]
    assert services.admins == ["0x01 by alice@example.com"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"exp": 1}, "expired"),
        ({"nbf": 4102444800}, "not valid yet"),
        ({"aud": "anon"}, "for another service"),
        ({"iss": "https://other.example/auth/v1"}, "for another service"),
        ({"sub": None}, "not accepted"),
    ],
)
def test_a_token_that_is_refused_is_told_why(
    writing: Client, services: FakeServices, changes: dict[str, Any], told: str
) -> None:
    token = hs256(**changes)
    response = post(writing, token)
    assert told in assert_problem(response, 401, "unauthorized")["detail"]
    assert token not in response.get_data(as_text=True)
    assert "alice" not in response.get_data(as_text=True)
    assert response.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    assert not services.admins


def test_without_token_settings_tokens_are_wrong_keys(
    writing: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, SUPABASE_JWT_SECRET="")
    assert_problem(post(writing, hs256()), 401, "unauthorized")
    assert post(writing, KEYS[Role.ADMIN]).status_code == 200


def test_token_settings_alone_are_enough(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = es256_key()
    with jwks_server() as server:
        server.keys = [public_jwk(key, "one")]
        variables = {"RECONCILE_API_KEYS": "", "SUPABASE_JWT_SECRET": ""}
        configure(monkeypatch, SUPABASE_JWKS_URL=server.url, **variables)
        assert [post(writing, signed(key, "one")).status_code for _ in range(3)] == [200] * 3
        assert server.requests == 1  # the keys outlive a request
    assert services.admins == ["alice@example.com"] * 3


def test_without_the_projects_keys_its_tokens_may_be_tried_again(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jwks_server() as gone:
        pass
    configure(monkeypatch, SUPABASE_JWKS_URL=gone.url)
    response = post(writing, signed(es256_key(), "one"))
    assert assert_problem(response, 503, "jwks_unreachable")["retryable"] is True
    assert response.headers["Retry-After"] == "5"
    assert not services.admins
    assert post(writing, hs256()).status_code == 200
    assert post(writing, KEYS[Role.ADMIN]).status_code == 200


# -- how often -------------------------------------------------------------------------------


def test_each_callers_requests_are_counted(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_REQUESTS_PER_MIN="7")
    post(writing, KEYS[Role.ADMIN])
    post(writing, hs256())
    assert services.slots == [("key:a-admin", 7), ("jwt:alice@example.com", 7)]


def test_a_key_and_a_person_of_one_name_are_counted_apart() -> None:
    assert Actor("x", Role.ADMIN, "key").id != Actor("x", Role.ADMIN, "jwt").id


@pytest.mark.parametrize(("wait_s", "told"), [(0.001, "1"), (1.0, "1"), (12.4, "13")])
def test_who_asks_too_often_is_told_to_wait(
    writing: Client,
    services: FakeServices,
    monkeypatch: pytest.MonkeyPatch,
    wait_s: float,
    told: str,
) -> None:
    configure(monkeypatch, RECONCILE_REQUESTS_PER_MIN="7")
    services.wait_s = wait_s
    response = post(writing, KEYS[Role.ADMIN])
    assert assert_problem(response, 429, "rate_limited")["retryable"] is True
    assert response.headers["Retry-After"] == told
    assert not services.admins


@pytest.mark.parametrize(
    ("error", "status"), [(LedgerUnreachable, 503), (LedgerTimeout, 504), (LedgerBadAnswer, 502)]
)
def test_a_limit_that_cannot_be_counted_lets_nobody_in(
    writing: Client,
    services: FakeServices,
    monkeypatch: pytest.MonkeyPatch,
    error: type[LedgerError],
    status: int,
) -> None:
    configure(monkeypatch, RECONCILE_REQUESTS_PER_MIN="7")
    services.wait_s = error("The database is away", remedy="Try again.")
    assert_problem(post(writing, KEYS[Role.ADMIN]), status, error.code)
    assert not services.admins


def test_strangers_cost_no_database_call(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_REQUESTS_PER_MIN="7")
    post(writing, None)
    post(writing, "x" * 40)
    post(writing, hs256(exp=1))
    post(writing, KEYS[Role.VIEWER])
    assert not services.slots


def test_without_a_limit_nothing_is_counted(writing: Client, services: FakeServices) -> None:
    assert post(writing, KEYS[Role.ADMIN]).status_code == 200
    assert not services.slots


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [({"wait_s": 0}, 0.0), ({"wait_s": 1.25}, 1.25), ({}, None), (None, None), ([], None)],
)
def test_the_procedure_is_asked_for_a_slot(answer: object, wait_s: float | None) -> None:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=answer)

    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        options = ClientOptions(httpx_client=http, auto_refresh_token=False)
        slots = SupabaseRequests(create_client("http://ledger.test", "k" * 20, options))
        if wait_s is None:
            with pytest.raises(LedgerBadAnswer):
                slots.take("key:a", 7)
        else:
            assert slots.take("key:a", 7) == wait_s
    assert asked[0].url.path.endswith("/rpc/take_request_slot")
    assert json.loads(asked[0].content) == {"p_actor": "key:a", "p_per_min": 7}


# -- from which pages ------------------------------------------------------------------------


def preflight(client: Client, origin: str | None = PAGE, **headers: str) -> TestResponse:
    asked = {"Access-Control-Request-Method": "POST", **headers}
    return client.options("/", headers={**asked, **({"Origin": origin} if origin else {})})


def test_no_page_may_call_by_default(writing: Client) -> None:
    assert_problem(preflight(writing), 405, "method_not_allowed")
    for response in (preflight(writing), post(writing, KEYS[Role.ADMIN], Origin=PAGE)):
        assert not any(name.startswith("Access-Control") for name, _ in response.headers)
        assert "Vary" not in response.headers


def test_a_page_of_the_settings_is_told_what_it_may_send(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_CORS_ORIGINS=f"https://other.example, {PAGE}")
    response = preflight(writing)
    assert response.status_code == 204
    assert response.get_data() == b""
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert response.headers["Vary"] == "Origin"
    assert not services.admins


def test_its_answers_and_refusals_are_readable(
    writing: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_CORS_ORIGINS=PAGE)
    for token in (KEYS[Role.ADMIN], KEYS[Role.VIEWER], None):
        response = post(writing, token, Origin=PAGE)
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
        assert response.headers["Vary"] == "Origin"


def test_what_varies_already_varies_still(reading: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, RECONCILE_CORS_ORIGINS=PAGE)
    headers = {"Origin": PAGE, "Authorization": f"Bearer {KEYS[Role.VIEWER]}"}
    response = reading.get("/", headers=headers)
    assert response.status_code == 200
    assert {each.lower() for each in response.vary} == {"accept", "origin"}


@pytest.mark.parametrize(
    "origin",
    [None, "null", "*", f"{PAGE}.evil.example", "http://admin.example", f"{PAGE}:8443", f"{PAGE}/"],
)
def test_other_pages_are_not_let_in(
    writing: Client, monkeypatch: pytest.MonkeyPatch, origin: str | None
) -> None:
    configure(monkeypatch, RECONCILE_CORS_ORIGINS=PAGE)
    headers = {"Origin": origin} if origin else {}
    for response in (preflight(writing, origin), post(writing, KEYS[Role.ADMIN], **headers)):
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Vary"] == "Origin"
    assert_problem(preflight(writing, origin), 405, "method_not_allowed")


def test_a_page_needs_a_key_like_everybody(
    writing: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_CORS_ORIGINS=PAGE)
    assert_problem(post(writing, None, Origin=PAGE), 401, "unauthorized")
    assert not services.admins


def test_with_wrong_settings_no_page_is_let_in(
    writing: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, RECONCILE_CORS_ORIGINS="*", RECONCILE_API_KEYS=SECRET)
    response = post(writing, KEYS[Role.ADMIN], Origin=PAGE)
    assert_problem(response, 503, "invalid_settings")
    assert SECRET not in response.get_data(as_text=True)
    assert "Access-Control-Allow-Origin" not in response.headers
