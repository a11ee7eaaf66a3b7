"""Looking through the audit log: the service, the function and the command, on prepared pages."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from functions.verify_audit import handler
from shared.cli.main import main
from shared.cli.services import Services
from shared.core.access import ApiKey, Role, key_digest
from shared.core.alert import Alert, AlertKind
from shared.core.audit_alert import audit_alert
from shared.core.audit_chain import (
    AuditCursor,
    AuditFault,
    AuditVerification,
    Phase,
    decode_cursor,
    verification_from_json,
)
from shared.core.errors import InvalidAddress, InvalidInput, LedgerUnreachable, ReconcileError
from shared.ports.audit_chain import AdoptedPage, ChainPage, HeadPage
from shared.services.audit_rounds import AuditRounds
from shared.services.verify_audit import AuditVerifier
from tests.fakes.fake_audit_round import FakeAuditRoundStore
from tests.fakes.fake_clock import START, FakeClock
from tests.lambda_context import Context
from tests.unit.serving import KEY, served

SOURCE = Path(__file__).parents[2] / "functions" / "verify_audit.py"
ALICE = "0x0000000000000001"
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "ab" * 32
ALTERED = AuditFault(
    audit_id="17", user_address=ALICE, chain_no=2, code="row_altered", detail="it is not as it was"
)
MISSING = AuditFault(
    audit_id=None, user_address=ALICE, chain_no=3, code="row_missing", detail="gone"
)


@dataclass
class PreparedChain:
    """Implements the port `AuditChain`: `rows` rows of one user a row, and prepared faults."""

    rows: int = 5
    digest: str = DIGEST
    chain_faults: tuple[AuditFault, ...] = ()
    head_faults: tuple[AuditFault, ...] = ()
    adopted: int = 0
    was_adopted: int = 0
    adopted_digest: str = ""
    later_audit_id: str | None = None
    unaudited: int = 0
    error: ReconcileError | None = None
    error_at: int | None = None
    """The page, from 1, that cannot be read."""
    clock: FakeClock | None = None
    page_s: float = 0.0
    """How long a page takes."""
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def check_chains(
        self,
        after: tuple[str, int] | None,
        rows: int,
        *,
        user_address: str | None,
        until: datetime,
        digest: str,
    ) -> ChainPage:
        self._called("chains", after, user_address, until, digest)
        if self.error is not None:
            raise self.error
        start = 0 if after is None else after[1]
        end = min(start + rows, self.rows)
        is_first = after is None
        return ChainPage(
            rows=end - start,
            users=end - start,
            through=(ALICE, end) if end < self.rows else None,
            faults=len(self.chain_faults) if is_first else 0,
            first_faults=self.chain_faults if is_first else (),
            gaps=0,
            unaudited=self.unaudited if is_first else 0,
            first_unaudited=(ALICE,) if self.unaudited and is_first else (),
            unanchored=0,
            digest=self.digest,
        )

    def check_heads(
        self, after: str | None, users: int, *, user_address: str | None, aside: bool
    ) -> HeadPage:
        self._called("aside" if aside else "heads", after, user_address)
        faults = () if aside else self.head_faults
        return HeadPage(heads=1, through=None, faults=len(faults), first_faults=faults)

    def check_adopted(self, after: str | None, rows: int, digest: str) -> AdoptedPage:
        self._called("adopted", after, digest)
        start = 0 if after is None else int(after)
        end = min(start + rows, self.adopted)
        return AdoptedPage(
            rows=end - start,
            through=str(end) if end < self.adopted else None,
            digest=DIGEST if self.adopted else "",
            adopted_rows=self.was_adopted,
            adopted_digest=self.adopted_digest,
            later_audit_id=self.later_audit_id if after is None else None,
        )

    def _called(self, *call: Any) -> None:
        self.calls.append(call)
        if self.clock is not None:
            self.clock.advance(self.page_s)
        if len(self.calls) == self.error_at:
            raise LedgerUnreachable("no route", remedy="Wait.")


@pytest.fixture
def chain() -> PreparedChain:
    return PreparedChain()


@pytest.fixture
def verifier(chain: PreparedChain) -> AuditVerifier:
    return AuditVerifier(chain, FakeClock(), page_rows=2)


# -- the service -------------------------------------------------------------------------------


def test_everything_is_looked_at_page_by_page(
    verifier: AuditVerifier, chain: PreparedChain
) -> None:
    seen: list[int] = []
    found = verifier.verify(progress=lambda so_far: seen.append(so_far.rows))

    assert (found.is_whole, found.is_complete, found.rows, found.users) == (True, True, 5, 5)
    assert (found.digest, found.until) == (DIGEST, START - timedelta(minutes=5))
    assert [call[0] for call in chain.calls] == [*["chains"] * 3, "heads", "aside", "adopted"]
    assert seen == [2, 4, 5, 5, 5, 5]


def test_faults_of_all_phases_are_counted_and_the_first_are_named(
    verifier: AuditVerifier, chain: PreparedChain
) -> None:
    chain.chain_faults, chain.head_faults = (ALTERED,) * 19, (MISSING,) * 3

    found = verifier.verify()

    assert (found.faults, len(found.first_faults)) == (22, 20)
    assert (found.first_faults[0], found.first_faults[-1]) == (ALTERED, MISSING)
    assert not found.is_whole


def test_a_verification_goes_on_where_it_was_stopped(verifier: AuditVerifier) -> None:
    parts = [verifier.verify(until=UNTIL, should_stop=lambda: True)]
    while parts[-1].after is not None:
        after = decode_cursor(parts[-1].after.encode())
        parts.append(verifier.verify(after=after, should_stop=lambda: True))

    assert [part.rows for part in parts] == [2, 2, 1, 0, 0, 0]
    assert {part.until for part in parts} == {UNTIL}
    assert [part.digest for part in parts] == [None, None, *[DIGEST] * 4]


@pytest.mark.parametrize(
    ("adopted", "was", "digest", "codes"),
    [
        (3, 3, DIGEST, []),
        (3, 3, "cd" * 32, ["adopted_rows_altered"]),
        (3, 4, DIGEST, ["adopted_rows_altered"]),
        (0, 4, DIGEST, ["adopted_rows_altered"]),
    ],
)
def test_adopted_rows_are_those_that_were_adopted(
    verifier: AuditVerifier,
    chain: PreparedChain,
    adopted: int,
    was: int,
    digest: str,
    codes: list[str],
) -> None:
    chain.adopted, chain.was_adopted, chain.adopted_digest = adopted, was, digest

    found = verifier.verify()

    assert ([each.code for each in found.first_faults], found.adopted_rows) == (codes, adopted)


def test_a_row_in_no_chain_that_is_younger_than_the_chains_is_named(
    verifier: AuditVerifier, chain: PreparedChain
) -> None:
    chain.adopted, chain.later_audit_id = 1, "99"

    found = verifier.verify()

    assert [(each.audit_id, each.code) for each in found.first_faults] == [
        ("99", "row_inserted"),
        (None, "adopted_rows_altered"),
    ]


def test_a_user_is_looked_at_by_every_spelling(
    verifier: AuditVerifier, chain: PreparedChain
) -> None:
    chain.rows = 1

    found = verifier.verify_user(ALICE)

    keys = {call[2] for call in chain.calls}
    assert keys == {ALICE, ALICE[2:]}
    assert (found.is_complete, found.rows) == (True, 2)
    verifier.verify_user("SYSTEM")
    assert chain.calls[-1] == ("aside", None, "SYSTEM")
    with pytest.raises(InvalidAddress):
        verifier.verify_user("a\nb")


@pytest.mark.parametrize("text", ["", "x", "e30", "bnVsbA", "W10", "!!", "WzEsMiwzLDQsNSw2LDdd"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(text)


@pytest.mark.parametrize(
    "cursor",
    [
        AuditCursor(until=UNTIL),
        AuditCursor(until=UNTIL, key="é", chain_no=3, digest=DIGEST),
        AuditCursor(until=UNTIL, phase=Phase.ADOPTED, key="9", adopted_rows=4),
    ],
)
def test_a_cursor_survives_a_url(cursor: AuditCursor) -> None:
    text = cursor.encode()
    assert decode_cursor(text) == cursor
    assert text.replace("-", "").replace("_", "").isalnum()


# -- alerts --------------------------------------------------------------------------------------


def found(**changes: Any) -> AuditVerification:
    return replace(AuditVerification(until=UNTIL, rows=5, users=1), **changes)


def test_an_alert_says_what_is_wrong_and_which_rows() -> None:
    alert = audit_alert(found(faults=1, first_faults=(ALTERED,)))

    assert alert is not None
    assert alert.kind is AlertKind.AUDIT_BROKEN
    assert alert.summary == "The audit log cannot be trusted: 1 fault in 5 audit rows of 1 user"
    assert alert.facts["Fault 1"] == (
        f"row_altered: {ALICE} row 2 (audit row 17): it is not as it was"
    )


def test_the_same_faults_are_no_news_and_others_are() -> None:
    def state(**changes: Any) -> str:
        alert = audit_alert(found(**changes))
        assert alert is not None
        return alert.state

    one = state(faults=1, first_faults=(ALTERED,))
    assert one == state(faults=1, first_faults=(ALTERED,), rows=9)
    assert one != state(faults=2, first_faults=(ALTERED, MISSING))
    assert one != state(faults=1, first_faults=(MISSING,))


def test_unaudited_balances_are_wrong_only_where_nobody_else_writes() -> None:
    assert audit_alert(found(unaudited=1)) is None
    assert audit_alert(found(unaudited=1, only_writer=True)) is not None


# -- the function --------------------------------------------------------------------------------


@dataclass
class FakeAlerter:
    observed: list[tuple[AlertKind, Alert | None]] = field(default_factory=list)

    def observe(self, kind: AlertKind, alert: Alert | None) -> None:
        self.observed.append((kind, alert))


class FakeServices:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.chain = PreparedChain(clock=self.clock)
        self.audit_verifier = AuditVerifier(self.chain, self.clock, page_rows=2)
        self.alerter = FakeAlerter()
        self.kept = FakeAuditRoundStore(self.clock)
        self.audit_rounds = AuditRounds(self.audit_verifier, self.kept, self.alerter)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app(  # type: ignore[no-untyped-call]
        "verify_audit", str(SOURCE)
    )
    return Client(app)


def get(client: Client, query: str = "") -> TestResponse:
    return client.get(f"/?{query}", headers={"Authorization": f"Bearer {KEY}"})


def test_a_get_answers_what_was_found_faults_included(
    client: Client, services: FakeServices
) -> None:
    services.chain.chain_faults = (ALTERED,)

    answer = get(client, "until=2026-01-01")

    assert answer.status_code == 200
    assert answer.json == {
        "whole": False,
        "complete": True,
        "rows": 5,
        "users": 5,
        "adoptedRows": 0,
        "faults": 1,
        "firstFaults": [
            {
                "auditId": "17",
                "userAddress": ALICE,
                "chainNo": 2,
                "code": "row_altered",
                "detail": "it is not as it was",
            }
        ],
        "gaps": 0,
        "unaudited": 0,
        "firstUnaudited": [],
        "unanchored": 0,
        "onlyWriter": False,
        "until": "2026-01-01T00:00:00+00:00",
        "digest": DIGEST,
        "after": None,
    }
    assert services.alerter.observed == []


def test_a_get_goes_on_after_its_deadline(
    client: Client, monkeypatch: pytest.MonkeyPatch, services: FakeServices
) -> None:
    check = services.chain.check_chains

    def slowly(*args: Any, **kwargs: Any) -> ChainPage:
        services.clock.advance(1_000)
        return check(*args, **kwargs)

    monkeypatch.setattr(services.chain, "check_chains", slowly)
    first: Any = get(client).json
    assert (first["complete"], first["rows"], first["digest"]) == (False, 2, None)
    second: Any = get(client, f"after={first['after']}&onlyWriter=true").json
    assert (second["rows"], second["onlyWriter"], second["until"]) == (2, True, first["until"])


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "until=yesterday",
        "onlyWriter=yes",
        "user=1",
        "until=2026-01-01&until=2026-01-02",
        f"until=2026-01-01&after={AuditCursor(until=UNTIL).encode()}",
    ],
)
def test_a_parameter_that_is_not_known_is_refused(client: Client, query: str) -> None:
    answer = get(client, query)
    problem: Any = answer.json
    assert (answer.status_code, problem["code"]) == (400, "invalid_input")


def test_a_log_that_cannot_be_read_is_a_problem(client: Client, services: FakeServices) -> None:
    services.chain.error = LedgerUnreachable("no route", remedy="Wait.")
    assert get(client).status_code == 503


def test_a_schedule_tells_people_of_faults_and_of_their_end(services: FakeServices) -> None:
    services.chain.chain_faults = (ALTERED,)
    assert handler({}, Context())["faults"] == 1
    services.chain.chain_faults = ()
    assert handler({"detail-type": "Scheduled Event", "detail": {}}, Context())["whole"]

    (kind, alert), over = services.alerter.observed
    assert (kind, over) == (AlertKind.AUDIT_BROKEN, (AlertKind.AUDIT_BROKEN, None))
    assert alert is not None


def post(client: Client, body: Any, key: str = KEY) -> TestResponse:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return client.post("/", data=json.dumps(body), headers=headers)


def test_a_schedule_may_come_by_http(client: Client, services: FakeServices) -> None:
    services.chain.unaudited = 1
    answer = post(client, {"onlyWriter": True})
    found: Any = answer.json
    assert (answer.status_code, found["whole"]) == (200, False)
    assert len(services.alerter.observed) == 1
    assert post(client, {"only": 1}).status_code == 422


def test_who_may_only_read_tells_nobody(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = "viewer-key-0123456789-0123456789-01234567"
    monkeypatch.setenv(
        "RECONCILE_API_KEYS", ApiKey("viewer", Role.VIEWER, key_digest(viewer)).line()
    )
    assert post(client, {}, viewer).status_code == 403
    assert services.alerter.observed == []


def test_a_schedule_knows_where_nobody_else_writes(services: FakeServices) -> None:
    services.chain.unaudited = 1
    assert handler({"onlyWriter": True}, Context())["whole"] is False
    assert handler({}, Context())["whole"] is True


# -- rounds of the schedule ----------------------------------------------------------------------


def tick(services: FakeServices, pages: int = 1) -> dict[str, Any]:
    """One invocation, whose time is enough for so many pages."""
    services.chain.page_s = 100.0
    return handler({}, Context(left_ms=pages * 100_000))


def states(services: FakeServices) -> list[str | None]:
    """What was observed: the alert's state, None for its end."""
    return [None if alert is None else alert.state for _, alert in services.alerter.observed]


def test_a_part_that_is_whole_does_not_end_an_alert(services: FakeServices) -> None:
    assert handler({}, Context(left_ms=0))["complete"] is False
    assert services.alerter.observed == []


def test_a_schedule_goes_on_where_it_stopped_until_everything_was_looked_at(
    services: FakeServices,
) -> None:
    parts = [tick(services) for _ in range(6)]

    assert [part["rows"] for part in parts] == [2, 4, 5, 5, 5, 5]
    assert [part["complete"] for part in parts] == [*[False] * 5, True]
    assert {part["until"] for part in parts} == {parts[0]["until"]}
    assert (parts[-1]["digest"], states(services)) == (DIGEST, [None])
    looked_at = [call[:2] for call in services.chain.calls]
    assert looked_at == [
        ("chains", None),
        ("chains", (ALICE, 2)),
        ("chains", (ALICE, 4)),
        ("heads", None),
        ("aside", None),
        ("adopted", None),
    ]


def test_after_a_round_a_new_one_begins(services: FakeServices) -> None:
    first = tick(services, 9)
    second = tick(services)

    assert (first["complete"], second["complete"], second["rows"]) == (True, False, 2)
    assert second["until"] > first["until"]


def test_a_fault_is_told_by_the_invocation_that_finds_it_and_not_again(
    services: FakeServices,
) -> None:
    services.chain.head_faults = (MISSING,)
    parts = [tick(services) for _ in range(6)]

    assert [part["faults"] for part in parts] == [0, 0, 0, 1, 1, 1]
    state = f"1 row_missing@{ALICE} row 3"
    assert states(services) == [state] * 3  # the same state is no news to the alerter


def test_only_a_whole_round_ends_the_alert(services: FakeServices) -> None:
    services.chain.chain_faults = (ALTERED,)
    tick(services, 3)
    services.chain.chain_faults = ()
    tick(services, 9)
    assert None not in states(services)  # the round had found a fault before

    services.alerter.observed.clear()
    assert [tick(services, 3)["whole"], states(services)] == [True, []]
    tick(services, 9)
    assert states(services) == [None]


def test_what_the_last_round_found_is_no_news_half_way(services: FakeServices) -> None:
    services.chain.chain_faults, services.chain.head_faults = (ALTERED,), (MISSING,)
    tick(services, 9)
    services.alerter.observed.clear()

    tick(services, 2)
    assert states(services) == []  # one of the two that are known
    services.chain.head_faults = (MISSING, replace(MISSING, user_address="0xb"))
    tick(services, 2)
    assert [state and state[0] for state in states(services)] == ["3"]


def test_an_invocation_that_dies_loses_no_page_and_no_fault(services: FakeServices) -> None:
    services.chain.chain_faults = (ALTERED,)
    services.chain.error_at = 3
    with pytest.raises(LedgerUnreachable):
        tick(services, 9)
    assert len(states(services)) == 1  # what was found is told all the same

    services.chain.error_at = None
    rest = tick(services, 9)
    assert (rest["rows"], rest["faults"], rest["complete"]) == (5, 1, True)
    assert [call[1] for call in services.chain.calls if call[0] == "chains"] == [
        None,
        (ALICE, 2),
        (ALICE, 4),
        (ALICE, 4),
    ]


def test_of_two_invocations_at_once_one_goes_on(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, others = services.chain.check_chains, []

    def overtaken(*args: Any, **kwargs: Any) -> ChainPage:
        monkeypatch.setattr(services.chain, "check_chains", check)
        others.append(tick(services, 2))
        return check(*args, **kwargs)

    monkeypatch.setattr(services.chain, "check_chains", overtaken)
    late = tick(services, 9)

    assert ([each["rows"] for each in others], late["complete"]) == ([4], False)
    assert services.kept.round is not None
    assert services.kept.round.found["rows"] == 4


def test_a_round_of_another_version_is_begun_anew(services: FakeServices) -> None:
    tick(services)
    assert services.kept.round is not None
    services.kept.round = replace(services.kept.round, found={"after": "x", "rows": 4})

    assert tick(services, 9)["rows"] == 5
    assert tick(services)["rows"] == 2


def test_a_get_has_nothing_to_do_with_the_round(client: Client, services: FakeServices) -> None:
    tick(services)
    answer: Any = get(client).json
    assert answer["rows"] in (2, 4, 5)
    assert tick(services)["rows"] == 4


@pytest.mark.parametrize("document", [{}, {"after": 1}, None, [], "x"])
def test_what_is_no_verification_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInput):
        verification_from_json(document)


# -- the command ---------------------------------------------------------------------------------


def run(chain: PreparedChain, *argv: str) -> int:
    verifier = AuditVerifier(chain, FakeClock(), page_rows=2)
    services = cast(Services, SimpleNamespace(audit_verifier=verifier))
    return main(["verify-audit", *argv], services)


def test_a_whole_log_exits_with_0(chain: PreparedChain, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(chain, "--until", "2026-01-01") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Whole: 5 audit rows of 5 users are as they were written."
    assert f"Digest     {DIGEST}" in shown
    assert "Until      2026-01-01T00:00:00+00:00" in shown


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (0, "Digest     none: there are no rows in a chain"),
        (
            5,
            "Digest     none: no row is older than 2026-01-01T00:00:00+00:00; give a later --until",
        ),
    ],
)
def test_why_there_is_no_digest_is_said(
    chain: PreparedChain, capsys: pytest.CaptureFixture[str], rows: int, shown: str
) -> None:
    chain.rows, chain.digest = rows, ""
    assert run(chain, "--until", "2026-01-01") == 0
    assert shown in capsys.readouterr().out.splitlines()


def test_a_fault_exits_with_2_and_is_named(
    chain: PreparedChain, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.chain_faults = (ALTERED,)
    assert run(chain) == 2
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Not whole: 1 fault in 5 audit rows of 5 users."
    assert shown[1] == f"row_altered  {ALICE} row 2 (audit row 17): it is not as it was"


def test_unaudited_balances_exit_with_0_unless_nobody_else_writes(
    chain: PreparedChain, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.unaudited = 1
    assert run(chain) == 0
    assert f"Unaudited  1, such as {ALICE} (the app writes too)" in capsys.readouterr().out
    assert run(chain, "--only-writer") == 2


def test_json_goes_to_stdout(chain: PreparedChain, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(chain, "--json", "--user", ALICE) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["type"], answer["whole"], answer["rows"]) == ("auditVerification", True, 10)
