"""What the dashboard's own pages say: the overview, runs, one run, solvency, alerts."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest

from shared.core.alert import AlertKind, Severity
from shared.core.alert_message import AlertEvent, DeliveryState, StoredAlert, StoredDelivery
from shared.core.amount import FlowAmount
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.run import PhaseTally, Run, RunKind, RunState
from shared.core.solvency import SolvencyState
from tests.unit.dashboard_client import (
    Browser,
    FakeAlerts,
    FakeRuns,
    FakeRunSearch,
    FakeServices,
    FakeSolvency,
    check,
    dashboard,
    text_of,
)
from tests.unit.runs import RUN_ID, STARTED, run

O = Outcome  # noqa: E741
FLOW = 100_000_000
HOSTILE = "<script>alert('x')</script>\"&"
ALERT_ID = UUID(int=5)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(runs=FakeRuns([run()]))


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, services: FakeServices) -> Iterator[Browser]:
    with dashboard(monkeypatch, services) as made:
        made.sign_in()
        yield made


def whole(**changes: object) -> Run:
    """A run that found nothing."""
    fields = {"outcomes": {O.IN_SYNC: 10}, "candidates": 0, "surplus": 0, "deficit": 0}
    return run(**{**fields, **changes})


def result(user: str, outcome: Outcome = O.CORRECTED, **changes: Any) -> ReconciliationResult:
    made = ReconciliationResult(
        user_address=user,
        outcome=outcome,
        timestamp=STARTED,
        old_balance=FlowAmount(FLOW),
        new_balance=FlowAmount(3 * FLOW),
        discrepancy=FlowAmount(2 * FLOW),
        block_height=1_234,
        audit_id="77",
    )
    return made.having(**changes)


def alert(number: int = 5, **changes: Any) -> StoredAlert:
    opened = datetime.now(UTC) - timedelta(minutes=45)
    fields = {
        "alert_id": UUID(int=number),
        "kind": AlertKind.RUN_HALTED,
        "severity": Severity.CRITICAL,
        "state": "halted",
        "summary": "The safety stop ended a run.",
        "remedy": "Look at the contract's address.",
        "facts": {"Users": "2,000"},
        "opened_at": opened,
        "changed_at": opened,
        "last_seen_at": opened,
        "times": 3,
        "run_id": RUN_ID,
    }
    return StoredAlert(**{**fields, **changes})


def verdict_of(browser: Browser) -> tuple[str, str]:
    """Tone and first line of the overview."""
    page = browser.get("/").text
    found = re.search(r'<div class="verdict (\w+)">\s*<strong>(.*?)</strong>', page, re.S)
    assert found is not None
    return found[1], unescape(found[2])


# -- overview ------------------------------------------------------------------------------------


def test_the_overview_begins_with_whether_we_are_whole(
    browser: Browser, services: FakeServices
) -> None:
    services.runs.stored = [whole()]
    services.solvency.checks = [check()]
    assert verdict_of(browser) == (
        "good",
        "Whole: all 10 users agreed with the contract up to block 7; the vault covers the ledger.",
    )


def test_a_run_that_was_rolled_back_is_not_whole(browser: Browser, services: FakeServices) -> None:
    services.runs.stored = [whole()]
    services.run_search.rolled_back = 1
    services.solvency.checks = [check()]
    assert verdict_of(browser) == (
        "bad",
        "Not whole: 1 correction of this run was rolled back since; the vault covers the ledger.",
    )


def test_users_who_differ_still_are_not_whole(browser: Browser, services: FakeServices) -> None:
    services.solvency.checks = [check()]
    tone, text = verdict_of(browser)
    assert tone == "bad"
    assert text.startswith("Not whole: 2 of 10 users still differ")


def test_a_vault_with_too_little_is_not_whole_whatever_the_run_says(
    browser: Browser, services: FakeServices
) -> None:
    services.runs.stored = [whole()]
    services.solvency.checks = [
        check(state=SolvencyState.DEFICIT, confirmed=True, vault_balance=123_456_699_999_999)
    ]
    tone, text = verdict_of(browser)
    assert tone == "bad"
    assert "0.00000001 FLOW less than the ledger" in text
    facts = text_of(browser.get("/"))
    assert "Vault 1,234,566.99999999 Ledger 1,234,567.00000000 of 2,000 users" in facts
    assert "Vault minus ledger −0.00000001" in facts


def test_without_a_check_or_a_run_it_is_not_known(browser: Browser, services: FakeServices) -> None:
    services.runs.stored = [whole()]
    assert verdict_of(browser)[0] == "warn"
    assert "No check yet." in text_of(browser.get("/"))
    services.runs.stored = []
    assert verdict_of(browser) == ("warn", "Not known: no run has looked at the ledger yet.")
    assert "There is no run yet." in text_of(browser.get("/"))


def test_a_run_that_is_at_work_is_not_what_it_goes_by(
    browser: Browser, services: FakeServices
) -> None:
    active = run(
        run_id=UUID(int=9),
        state=RunState.CORRECTING,
        finished_at=None,
        outcomes={O.IN_SYNC: 7, O.WOULD_CORRECT: 3},
    )
    services.runs.stored = [active, whole()]
    services.solvency.checks = [check()]
    assert verdict_of(browser)[0] == "good"
    assert "is at work. It corrects: 3 of 3 discrepancies are undecided." in text_of(
        browser.get("/")
    )


def test_open_alerts_are_on_the_overview(browser: Browser, services: FakeServices) -> None:
    services.alerts = FakeAlerts([alert(), alert(6, resolved_at=STARTED, summary="It was.")])
    text = text_of(browser.get("/"))
    assert "Run halted since" in text
    assert "The safety stop ended a run." in text
    assert "It was." not in text


def test_the_age_of_the_last_covering_run_is_told(browser: Browser, services: FakeServices) -> None:
    finished = datetime.now(UTC) - timedelta(hours=3, minutes=20)
    services.runs.stored = [run(finished_at=finished, covered_height=1_234_567)]
    text = text_of(browser.get("/"))
    assert "3 h 20 min ago" in text
    assert "Covered up to height 1,234,567" in text


def test_charts_say_in_words_what_they_show(browser: Browser, services: FakeServices) -> None:
    services.solvency.checks = [check(number) for number in range(3)]
    labels = re.findall(r'role="img" aria-label="([^"]*)"', browser.get("/").text)
    assert labels == [
        "Drift that the last 1 runs found. The last one: surplus +1.50000000,"
        " deficit −0.00000003 FLOW.",
        "Vault minus ledger in the last 3 checks; the last one read: 0.00000000 FLOW.",
    ]


# -- runs ----------------------------------------------------------------------------------------


def test_runs_come_by_pages_and_none_is_lost(browser: Browser, services: FakeServices) -> None:
    services.runs.stored = [run(run_id=UUID(int=number)) for number in range(60)]
    seen: list[str] = []
    path: str | None = "/runs"
    while path:
        page = browser.get(path).text
        seen += re.findall(r'<th scope="row"><a [^>]*title="([0-9a-f-]+)"', page)
        found = re.search(r'<a href="([^"]+)" rel="next"', page)
        path = unescape(found[1]) if found else None
    assert seen == [str(each.run_id) for each in services.runs.stored]
    assert 'rel="first"' in page


@pytest.mark.parametrize("path", ["/runs?before=x", "/solvency?before=1", "/alerts?before=."])
def test_an_address_that_cannot_be_right_says_so(browser: Browser, path: str) -> None:
    response = browser.get(path)
    assert response.status_code == 422
    assert "`before` in the page's address cannot be right" in text_of(response)


def test_the_newest_run_has_an_address(browser: Browser, services: FakeServices) -> None:
    assert browser.get("/runs/latest").headers["Location"] == f"/runs/{RUN_ID}"
    services.runs.stored = []
    assert browser.get("/runs/latest").headers["Location"] == "/runs"


# -- one run -------------------------------------------------------------------------------------


def test_the_counts_of_a_run_add_up(browser: Browser) -> None:
    page = browser.get(f"/runs/{RUN_ID}").text
    counted = re.search(r'<dl class="stats counts">(.*?)</dl>', page, re.S)
    assert counted is not None
    numbers = [
        int(re.sub(r"<[^>]*>|\D", "", each)) for each in re.findall(r"<dd>(.*?)</dd>", counted[1])
    ]
    assert numbers[0] == 10
    assert sum(numbers[1:]) == 10
    assert len(numbers) == 1 + len(Outcome)


def test_a_halted_run_explains_itself(browser: Browser, services: FakeServices) -> None:
    halt = Halt("all_read_zero", "all 9 users read zero on chain", "Check FLOW_CONTRACT_ADDRESS.")
    services.runs.stored = [run(state=RunState.HALTED, halt=halt)]
    text = text_of(browser.get(f"/runs/{RUN_ID}"))
    assert "The safety stop ended this run: all 9 users read zero on chain." in text
    assert "Check FLOW_CONTRACT_ADDRESS." in text
    assert "Nothing was written." in text
    services.runs.stored = [run(halt=halt, accepted_halt="the game was closed")]
    text = text_of(browser.get(f"/runs/{RUN_ID}"))
    assert "The safety stop was overridden" in text
    assert "the game was closed" in text


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_has_a_sentence(
    browser: Browser, services: FakeServices, state: RunState
) -> None:
    services.runs.stored = [run(state=state, error="It broke.", error_code="broken")]
    response = browser.get(f"/runs/{RUN_ID}")
    assert response.status_code == 200
    assert str(state).replace("_", " ") in text_of(response)


@pytest.mark.parametrize("kind", list(RunKind))
def test_every_kind_is_told(browser: Browser, services: FakeServices, kind: RunKind) -> None:
    services.runs.stored = [
        run(kind=kind, plan_run_id=UUID(int=3), from_height=5, covered_height=9, dry_run=True)
    ]
    assert browser.get(f"/runs/{RUN_ID}").status_code == 200


def test_a_run_at_work_is_followed_until_it_ends(browser: Browser, services: FakeServices) -> None:
    services.runs.stored = [
        run(
            state=RunState.SCANNING,
            scanned_at=None,
            finished_at=None,
            users_planned=2_000,
            scan=PhaseTally(pending=3, leased=1, done=4, failed=2),
        )
    ]
    page = browser.get(f"/runs/{RUN_ID}").text
    assert f'data-live="/runs/{RUN_ID}/live"' in page
    assert 'role="status"' in page
    live = browser.get(f"/runs/{RUN_ID}/live")
    assert "<html" not in live.text
    assert "X-Live" not in live.headers
    assert "Scan: 4 of 10 chunks, 1 at work, 2 given up" in text_of(live)
    assert '<progress id="p-scan" value="6" max="10">' in live.text
    assert "scanning: 10 of 2,000 users looked at" in text_of(live)

    services.runs.stored = [run()]
    assert browser.get(f"/runs/{RUN_ID}/live").headers["X-Live"] == "ended"
    assert "data-live=" not in browser.get(f"/runs/{RUN_ID}").text


def shown_users(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a class="key" href="/users/[^"]*">([^<]*)</a>', page)


@pytest.fixture
def results(services: FakeServices) -> list[ReconciliationResult]:
    made = [
        result(
            f"0x{number:016x}",
            O.FAILED if number % 10 == 0 else O.CORRECTED,
            discrepancy=FlowAmount((-1) ** number * number * FLOW),
        )
        for number in range(130)
    ]
    services.run_search = FakeRunSearch(made)
    return made


def test_results_come_by_pages_and_all_of_it_is_in_the_address(
    browser: Browser, results: list[ReconciliationResult]
) -> None:
    seen: list[str] = []
    path: str | None = f"/runs/{RUN_ID}?order=discrepancy&outcome=corrected&q=0X00"
    while path:
        page = browser.get(path).text
        seen += shown_users(page)
        assert 'value="0X00"' in page
        assert '<option value="corrected" selected>' in page
        found = re.search(r'<a href="([^"]+)" rel="next"', page)
        path = unescape(found[1]) if found else None
    expected = [each for each in results if each.outcome is O.CORRECTED]
    expected.sort(key=lambda each: -abs(each.discrepancy or 0))
    assert seen == [each.user_address for each in expected]


def test_results_are_searched_by_a_part_of_the_address(
    browser: Browser, results: list[ReconciliationResult]
) -> None:
    assert len(results) == 130
    page = browser.get(f"/runs/{RUN_ID}?q=7f").text
    assert shown_users(page) == ["0x000000000000007f"]
    nobody = browser.get(f"/runs/{RUN_ID}?q=nobody")
    assert "Nobody fits." in text_of(nobody)


def test_a_row_has_exact_amounts_and_why_it_failed(
    browser: Browser, services: FakeServices
) -> None:
    services.run_search = FakeRunSearch(
        [
            result("0x01", new_balance=FlowAmount(123_456_789_012_345_678)),
            result(
                "0x02",
                O.FAILED,
                new_balance=None,
                discrepancy=None,
                error="The script failed. Look at it.",
                error_code="contract_query_failed",
            ),
        ]
    )
    text = text_of(browser.get(f"/runs/{RUN_ID}"))
    assert "1,234,567,890.12345678" in text
    assert "The script failed. Look at it. contract_query_failed" in text


@pytest.mark.parametrize(
    "query", ["order=x", "outcome=x", "q=" + "x" * 101, "order=discrepancy&outcome=IN_SYNC"]
)
def test_what_results_are_asked_by_is_checked(browser: Browser, query: str) -> None:
    assert browser.get(f"/runs/{RUN_ID}?{query}").status_code == 422


# -- solvency ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (SolvencyState.SOLVENT, "The vault covers the ledger."),
        (SolvencyState.SURPLUS, "The vault holds 5.00000000 FLOW more than the ledger promises."),
        (SolvencyState.DEFICIT, "The ledger promises 5.00000000 FLOW more than the vault holds."),
        (SolvencyState.CONTRACT_SHORT, "The vault does not cover what the contract owes:"),
        (SolvencyState.CONTRACT_MISMATCH, "the contract's own total is another."),
        (SolvencyState.UNREADABLE, "Not known: one of the sides could not be read."),
    ],
)
def test_every_state_of_solvency_has_a_sentence(
    browser: Browser, services: FakeServices, state: SolvencyState, said: str
) -> None:
    total = 1_000 * FLOW
    changes: dict[str, Any] = {"vault_balance": total, "contract_total": total}
    if state in (SolvencyState.SURPLUS, SolvencyState.DEFICIT):
        sign = 1 if state is SolvencyState.SURPLUS else -1
        changes["vault_balance"] = total + sign * 5 * FLOW
    if state is SolvencyState.CONTRACT_SHORT:
        changes["contract_total"] = total + FLOW
    if state is SolvencyState.UNREADABLE:
        changes = dict.fromkeys(("vault_balance", "contract_total", "block_height"))
        changes |= {"error": "The node is away. Look.", "error_code": "contract_unreachable"}
    services.solvency = FakeSolvency([check(state=state, ledger_total=total, **changes)])
    text = text_of(browser.get("/solvency"))
    assert said in text
    assert ("Not confirmed yet" in text) is state.is_mismatch
    if state is SolvencyState.UNREADABLE:
        assert "The node is away. Look." in text


def test_checks_come_by_pages(browser: Browser, services: FakeServices) -> None:
    services.solvency.checks = [check(number, block_height=number) for number in range(120)]
    seen: list[str] = []
    path: str | None = "/solvency"
    while path:
        page = browser.get(path).text
        seen += re.findall(r'<th scope="row"><time datetime="([^"]+)"', page)
        found = re.search(r'<a href="([^"]+)" rel="next"', page)
        path = unescape(found[1]) if found else None
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


def test_an_admin_checks_now_within_the_time_of_a_request(
    browser: Browser, services: FakeServices
) -> None:
    services.solvency.next_check = check(state=SolvencyState.DEFICIT)
    answer = browser.post("/solvency/check")
    assert answer.headers["Location"] == "/solvency"
    assert services.solvency.asked == [("tester", 47.0)]
    assert "The check is made: deficit." in text_of(browser.get("/solvency"))


def test_without_any_check_the_page_says_so(browser: Browser) -> None:
    assert "No check yet." in text_of(browser.get("/solvency"))


# -- alerts --------------------------------------------------------------------------------------


def test_an_open_alert_tells_what_to_do(browser: Browser, services: FakeServices) -> None:
    services.alerts = FakeAlerts([alert()])
    page = browser.get("/alerts")
    text = text_of(page)
    assert "The safety stop ended a run." in text
    assert "What to do: Look at the contract's address." in text
    assert "Users 2,000" in text
    assert "45 min ago" in text
    assert "seen 3 times" in text
    assert f'href="/runs/{RUN_ID}"' in page.text


def test_what_was_not_sent_is_shown(browser: Browser, services: FakeServices) -> None:
    services.alerts = FakeAlerts(
        [],
        [
            StoredDelivery(
                delivery_id=3,
                alert_id=ALERT_ID,
                kind=AlertKind.RUN_HALTED,
                event=AlertEvent.OPENED,
                channel="slack-5e6f7a8b",
                state=DeliveryState.GAVE_UP,
                attempts=5,
                created_at=STARTED,
                next_at=STARTED,
                error="the server answered 503",
            )
        ],
    )
    text = text_of(browser.get("/alerts"))
    assert "Nothing is open." in text
    assert "slack-5e6f7a8b gave up 5 – the server answered 503" in text.replace("✕ ", "")


def test_alerts_that_are_over_stay_on_record(browser: Browser, services: FakeServices) -> None:
    over = alert(
        resolved_at=STARTED + timedelta(hours=1), opened_at=STARTED, summary="It was halted."
    )
    services.alerts = FakeAlerts([over])
    text = text_of(browser.get("/alerts"))
    assert "Nothing is open." in text
    assert "after 1 h" in text
    assert "It was halted." in text


# -- what others have written is shown, and is no part of the page ------------------------------


def test_hostile_texts_are_escaped_wherever_they_are_shown(
    browser: Browser, services: FakeServices
) -> None:
    halt = Halt("x", HOSTILE, HOSTILE)
    services.runs.stored = [
        run(
            admin_address=HOSTILE,
            halt=halt,
            accepted_halt=HOSTILE,
            fallback_reason=HOSTILE,
            error=HOSTILE,
            error_code=HOSTILE,
        )
    ]
    services.run_search = FakeRunSearch(
        [result(HOSTILE, O.FAILED, error=HOSTILE, error_code=HOSTILE, audit_id=HOSTILE)]
    )
    hostile_check = check(admin_address=HOSTILE, error=HOSTILE, error_code=HOSTILE)
    services.solvency.checks = [hostile_check]
    services.alerts = FakeAlerts([alert(summary=HOSTILE, remedy=HOSTILE, facts={HOSTILE: HOSTILE})])
    for path in ("/", "/runs", f"/runs/{RUN_ID}", "/solvency", "/alerts"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text, path
        assert "&lt;script&gt;" in page.text, path
    link = re.findall(r'href="(/users/[^"]*)"', browser.get(f"/runs/{RUN_ID}").text)
    assert link == ["/users/%3Cscript%3Ealert%28%27x%27%29%3C%2Fscript%3E%22%26"]


@pytest.mark.parametrize("path", ["/runs/x", f"/runs/{RUN_ID}", "/sign-in"])
def test_what_the_address_says_is_escaped_too(browser: Browser, path: str) -> None:
    query = "q=%3Cscript%3Ealert(1)%3C/script%3E&next=%22%3E%3Cscript%3E&after=%3Cscript%3E"
    browser.services.run_search = FakeRunSearch([])
    response = browser.get(f"{path}?{query}".replace("&after=%3Cscript%3E", ""))
    assert "<script>" not in response.text.replace("<script src=", "")
