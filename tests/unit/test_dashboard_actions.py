"""What the dashboard's forms do: nothing without what confirms them, and once when sent twice."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from werkzeug.test import TestResponse

from shared.core.errors import ContractUnreachable
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import RunKind, RunState
from shared.services.plan_run import RunRequest
from tests.unit.dashboard_client import Browser, dashboard, new_browser, text_of
from tests.unit.dashboard_world import services_of
from tests.unit.serving import KEY, NAME
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World

USERS = 12
DRIFTED = 5
BY_TESTER = RunRequest(admin_address=NAME)
DOWN = ContractUnreachable("the node is down", remedy="Start it.")


def world_of(*, drifted: int = DRIFTED, policy: Policy | None = None) -> World:
    return World(
        {user(number): 10 for number in range(USERS)},
        {user(number): 10 + (number < drifted) for number in range(USERS)},
        policy or replace(CAREFREE, batch_size=4),
    )


@pytest.fixture
def world() -> World:
    return world_of()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Browser]:
    with dashboard(monkeypatch, services_of(world)) as made:
        made.sign_in()
        yield made


def told(browser: Browser, response: TestResponse) -> str:
    """The page that a form leads to."""
    assert response.status_code == 303, text_of(response)
    page = browser.get(response.headers["Location"])
    assert page.status_code == 200
    return text_of(page)


def form(**fields: str) -> dict[str, Any]:
    return {"form_id": str(uuid4()), **fields}


def run_at(response: TestResponse) -> UUID:
    found = re.fullmatch(r"/runs/([0-9a-f-]{36})", response.headers["Location"])
    assert found, response.headers["Location"]
    return UUID(found[1])


def dry_run(browser: Browser) -> UUID:
    return run_at(browser.post("/runs/start/dry-run", **form()))


# -- runs -------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_names_who_asked(browser: Browser, world: World) -> None:
    run = world.store.get_run(dry_run(browser))
    assert (run.state, run.dry_run, run.admin_address) == (RunState.FINISHED, True, NAME)
    assert run.count(Outcome.WOULD_CORRECT) == DRIFTED
    assert not world.ledger.audit


def test_a_form_that_is_sent_twice_starts_one_run(browser: Browser, world: World) -> None:
    sent = form()
    first = browser.post("/runs/start/dry-run", **sent)
    assert run_at(browser.post("/runs/start/dry-run", **sent)) == run_at(first)
    assert len(world.store.list_runs(limit=10)) == 1


@pytest.mark.parametrize("path", ["/runs/start/dry-run", "/runs/start/sweep"])
def test_a_form_that_is_not_whole_starts_none(browser: Browser, world: World, path: str) -> None:
    answer = browser.post(path, confirm="correct", form_id="x")
    assert answer.status_code == 422
    assert "This form is not whole" in text_of(answer)
    assert not world.store.list_runs(limit=10)


def test_only_changed_users(browser: Browser, world: World) -> None:
    world.sweep()
    run_id = run_at(browser.post("/runs/start/dry-run", **form(whom="changed")))
    assert world.store.get_run(run_id).kind is RunKind.INCREMENTAL


@pytest.mark.parametrize("typed", ["", "Correct", "yes"])
def test_a_sweep_at_once_wants_the_word(browser: Browser, world: World, typed: str) -> None:
    answer = browser.post("/runs/start/sweep", **form(confirm=typed))
    assert answer.status_code == 422
    assert "Nothing was done" in text_of(answer)
    assert not world.store.list_runs(limit=10)


def test_a_sweep_at_once(browser: Browser, world: World) -> None:
    run = world.store.get_run(run_at(browser.post("/runs/start/sweep", **form(confirm="correct"))))
    assert (run.state, run.count(Outcome.CORRECTED)) == (RunState.FINISHED, DRIFTED)


def test_a_second_run_that_writes_waits_for_the_first(browser: Browser, world: World) -> None:
    world.run_actions.start(BY_TESTER, incremental=False)
    answer = browser.post("/runs/start/sweep", **form(confirm="correct"))
    assert "is scanning and writes" in told(browser, answer)
    assert len(world.store.list_runs(limit=10)) == 1


def test_exactly_what_was_shown_is_applied(browser: Browser, world: World) -> None:
    plan = dry_run(browser)
    page = text_of(browser.get(f"/runs/{plan}/apply"))
    assert f"{DRIFTED} users would be corrected" in page
    assert "+0.00000005" in page
    world.ledger.put(user(0), 7)
    world.ledger.put(user(9), 99)
    answer = browser.post(f"/runs/{plan}/apply", **form(confirm=str(DRIFTED)))
    run = world.store.get_run(run_at(answer))
    assert run.outcomes[Outcome.CHANGED_MEANWHILE] == 1
    assert run.outcomes[Outcome.CORRECTED] == DRIFTED - 1
    assert (world.balance(user(0)), world.balance(user(9))) == (7, 99)


@pytest.mark.parametrize("typed", ["", "4", "05", "five"])
def test_an_apply_wants_the_number_of_users(browser: Browser, world: World, typed: str) -> None:
    plan = dry_run(browser)
    answer = browser.post(f"/runs/{plan}/apply", **form(confirm=typed))
    assert answer.status_code == 422
    assert not world.ledger.audit
    assert len(world.store.list_runs(limit=10)) == 1


def test_an_apply_that_is_sent_twice_is_one(browser: Browser, world: World) -> None:
    plan, sent = dry_run(browser), form(confirm=str(DRIFTED))
    first = browser.post(f"/runs/{plan}/apply", **sent)
    assert run_at(browser.post(f"/runs/{plan}/apply", **sent)) == run_at(first)
    assert len(world.ledger.audit) == DRIFTED


def test_a_run_without_a_plan_is_not_applied(browser: Browser, world: World) -> None:
    done = world.sweep().summary.run_id
    page = told(browser, browser.get(f"/runs/{done}/apply"))
    assert "nothing that is left to be corrected" in page
    answer = browser.post(f"/runs/{done}/apply", **form(confirm="0"))
    assert "nothing that is left to be corrected" in told(browser, answer)


def test_what_the_safety_stop_objects_to_needs_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_of(drifted=USERS, policy=Policy(settle_s=0, batch_size=4, halt_min_users=5))
    with dashboard(monkeypatch, services_of(world)) as browser:
        browser.sign_in()
        plan = dry_run(browser)
        assert "The safety stop objects" in text_of(browser.get(f"/runs/{plan}/apply"))
        answer = browser.post(f"/runs/{plan}/apply", **form(confirm=str(USERS)))
        assert (answer.status_code, "reason is blank" in text_of(answer)) == (422, True)
        assert not world.ledger.audit
        sent = form(confirm=str(USERS), reason="  a replay hit everyone ")
        run = world.store.get_run(run_at(browser.post(f"/runs/{plan}/apply", **sent)))
        assert run.accepted_halt == "a replay hit everyone"
        assert run.count(Outcome.CORRECTED) == USERS


def test_approve_decline_cancel(browser: Browser, world: World) -> None:
    waiting = run_at(browser.post("/runs/start/asking", **form()))
    assert "Approve: correct 5 users" in text_of(browser.get(f"/runs/{waiting}"))
    assert "nothing was written" in told(browser, browser.post(f"/runs/{waiting}/decline"))
    refused = told(browser, browser.post(f"/runs/{waiting}/approve"))
    assert "declined" in refused
    assert not world.ledger.audit

    waiting = run_at(browser.post("/runs/start/asking", **form()))
    assert run_at(browser.post(f"/runs/{waiting}/approve")) == waiting
    assert len(world.ledger.audit) == DRIFTED

    active = world.run_actions.start(BY_TESTER, incremental=False).run_id
    assert "Cancelled" in told(browser, browser.post(f"/runs/{active}/cancel"))
    assert world.store.get_run(active).state is RunState.CANCELLED


def test_work_that_is_interrupted_is_told_and_goes_on_later(browser: Browser, world: World) -> None:
    active = world.run_actions.start(BY_TESTER, incremental=False).run_id
    world.contract.fail_when(lambda users: DOWN)
    page = told(browser, browser.post(f"/runs/{active}/continue"))
    assert "The work was interrupted: the node is down. Start it." in page
    assert "Continue" in page

    token, live = browser.token(), {"X-Live": "continue", "Sec-Fetch-Site": "same-origin"}
    answer = browser.post(f"/runs/{active}/continue", token=token, headers=live)
    assert (answer.status_code, answer.text) == (503, "the node is down. Start it.")
    world.contract.fail_when(lambda users: None)
    answer = browser.post(f"/runs/{active}/continue", token=token, headers=live)
    assert (answer.status_code, answer.data) == (204, b"")
    assert world.store.get_run(active).count(Outcome.CORRECTED) == DRIFTED


# -- one user ---------------------------------------------------------------------------------


def test_a_users_page_in_any_spelling(browser: Browser) -> None:
    answer = browser.get(f"/users?address=%20{user(0)[2:].upper()}%20")
    page = told(browser, answer)
    assert user(0) in page
    assert "Differs by +0.00000001 FLOW" in page


def test_what_is_no_address_is_said_to_be_none(browser: Browser) -> None:
    answer = browser.get("/users?address=<script>")
    assert (answer.status_code, "<script>" in answer.text.partition("<main")[2]) == (422, False)
    assert "is no Flow address" in text_of(answer)
    assert browser.get("/users/0x12").status_code == 422


def test_an_outage_of_the_contract_is_shown_as_one(browser: Browser, world: World) -> None:
    world.contract.fail_next_height(DOWN, times=9)
    page = text_of(browser.get(f"/users/{user(0)}"))
    assert "The contract could not be read the node is down" in page
    assert "In sync" not in page


def test_reconcile_now(browser: Browser, world: World) -> None:
    page = told(browser, browser.post(f"/users/{user(0)}/reconcile"))
    assert "Corrected from 0.00000010 to 0.00000011 FLOW" in page
    assert f"reconciliation_by_{NAME}" in page
    assert world.balance(user(0)) == 11
    world.contract.fail_next_height(DOWN, times=9)
    page = told(browser, browser.post(f"/users/{user(1)}/reconcile"))
    assert "Nothing was changed. the node is down" in page


def test_hold_and_release(browser: Browser, world: World) -> None:
    path = f"/users/{user(0)}"
    assert "the reason is blank" in told(browser, browser.post(f"{path}/hold", reason=" "))
    reason = "<b>disputed</b> & unclear"
    answer = browser.post(f"{path}/hold", reason=reason)
    assert reason in told(browser, answer)  # its text, with no element in it
    assert reason not in browser.get(path).text
    assert reason in text_of(browser.get("/holds"))
    assert "held already, by tester" in told(browser, browser.post(f"{path}/hold", reason="x"))
    page = told(browser, browser.post(f"{path}/reconcile"))
    assert "Nothing was changed." in page
    assert "Released" in told(browser, browser.post(f"{path}/release"))
    assert "was not held" in told(browser, browser.post(f"{path}/release", reason=""))
    assert world.balance(user(0)) == 10


def test_who_is_not_in_the_ledger_cannot_be_held(browser: Browser) -> None:
    page = told(browser, browser.post(f"/users/{user(77)}/hold", reason="x"))
    assert "no such user" in page


def test_a_key_that_is_no_address_can_be_held_and_released(browser: Browser, world: World) -> None:
    world.ledger.put("odd key", 10)
    path = "/users/odd%20key"
    assert "The contract could not be read" in text_of(browser.get(path))
    assert "The user is held" in told(browser, browser.post(f"{path}/hold", reason="x"))
    assert path in browser.get("/holds").text
    assert "Released" in told(browser, browser.post(f"{path}/release"))


def test_the_history_is_read_by_pages(browser: Browser, world: World) -> None:
    for balance in range(30):
        world.contract.set(user(0), 100 + balance)
        world.reconcile(user(0))
    page = browser.get(f"/users/{user(0)}")
    assert page.text.count("reconciliation_by_ADMIN") == 25
    (link,) = re.findall(r'href="([^"]*)" rel="next"', page.text)
    assert browser.get(link).text.count("reconciliation_by_ADMIN") == 5


def test_only_runs_that_are_stored_are_linked(browser: Browser, world: World) -> None:
    run_id = world.sweep().summary.run_id
    world.reconcile(user(0))
    page = browser.get(f"/users/{user(0)}").text
    assert set(re.findall(r"/runs/([0-9a-f-]{36})", page)) == {str(run_id)}


# -- rollbacks --------------------------------------------------------------------------------


def test_one_correction_is_rolled_back(browser: Browser, world: World) -> None:
    world.reconcile(user(0))
    path = f"/users/{user(0)}/rollback/1"
    assert "Type 1 to confirm" in text_of(browser.get(path))
    wrong: list[dict[str, Any]] = [
        {"confirm": "1"},
        {"reason": "disputed"},
        {"confirm": "2", "reason": "x"},
    ]
    for fields in wrong:
        answer = browser.post(path, **fields)
        assert answer.status_code == 422
        assert "Nothing was done" in text_of(answer)
    assert world.balance(user(0)) == 11
    page = told(browser, browser.post(path, confirm="1", reason="disputed"))
    assert "Rolled back from 0.00000011 to 0.00000010 FLOW by audit row 2" in page
    assert "rolled back by row 2" in page
    assert world.ledger.hold_of(user(0)) is not None
    assert "rolled back before, by audit row 2" in text_of(browser.get(path))
    page = told(browser, browser.post(path, confirm="1", reason="disputed"))
    assert "was rolled back before, by audit row 2" in page
    assert len(world.ledger.audit) == 2


def test_a_correction_that_another_one_followed_stays(browser: Browser, world: World) -> None:
    world.reconcile(user(0))
    world.ledger.put(user(0), 50)
    path = f"/users/{user(0)}/rollback/1"
    assert "This cannot be rolled back" in text_of(browser.get(path))
    page = told(browser, browser.post(path, confirm="1", reason="x"))
    assert "Nothing was changed. The balance is not what this correction wrote" in page
    assert world.balance(user(0)) == 50


def test_a_row_of_somebody_else_is_not_found(browser: Browser, world: World) -> None:
    world.reconcile(user(0))
    path = f"/users/{user(1)}/rollback/1"
    assert browser.get(path).status_code == 404
    assert browser.post(path, confirm="1", reason="x").status_code == 404
    assert world.balance(user(0)) == 11


def swept(world: World) -> UUID:
    return world.sweep().summary.run_id


def confirmed(browser: Browser, run_id: UUID, *, reason: str) -> TestResponse:
    return browser.post(f"/runs/{run_id}/rollback", confirm=str(run_id)[:8], reason=reason)


def test_a_run_is_counted_first(browser: Browser, world: World) -> None:
    path = f"/runs/{swept(world)}/rollback"
    page = text_of(browser.get(path))
    assert "Would be rolled back 5" in page
    assert "Moves the ledger by −0.00000005" in page
    assert len(world.ledger.audit) == DRIFTED
    answer = browser.post(path, confirm="5", reason="x")
    assert (answer.status_code, "Nothing was done" in text_of(answer)) == (422, True)


def test_a_run_is_rolled_back(browser: Browser, world: World) -> None:
    run_id = swept(world)
    answer = confirmed(browser, run_id, reason="wrong contract")
    page = told(browser, answer)
    assert "Rolled back: 5 corrections, −0.00000005 FLOW. Their users are held." in page
    assert "Rolled back before 5" in page
    assert set(world.ledger.balances().values()) == {10}
    assert {row.reason for row in world.ledger.audit[DRIFTED:]} == {"wrong contract"}


def state_of(answer: TestResponse) -> str:
    assert answer.status_code == 303
    return answer.headers["Location"].partition("state=")[2]


def test_a_large_run_is_rolled_back_by_several_requests(browser: Browser, world: World) -> None:
    run_id = swept(world)
    path = f"/runs/{run_id}/rollback"
    _no_time(world)
    first = confirmed(browser, run_id, reason="wrong")
    page = text_of(browser.get(first.headers["Location"]))
    assert "Rolled back so far 2" in page
    second = browser.post(f"{path}/continue", state=state_of(first))
    assert "Rolled back so far 4" in text_of(browser.get(second.headers["Location"]))
    last = told(browser, browser.post(f"{path}/continue", state=state_of(second)))
    assert "Rolled back: 5 corrections, −0.00000005 FLOW" in last
    assert {row.reason for row in world.ledger.audit[DRIFTED:]} == {"wrong"}


def test_the_rest_of_a_rollback_is_its_sessions_own(browser: Browser, world: World) -> None:
    run_id = swept(world)
    path = f"/runs/{run_id}/rollback"
    _no_time(world)
    state = state_of(confirmed(browser, run_id, reason="wrong"))
    audited = len(world.ledger.audit)
    another_run = f"/runs/{swept(world)}/rollback"
    another = new_browser(browser.services)
    another.sign_in(KEY)
    for who, where, shown in (
        (another, path, state),
        (browser, another_run, state),
        (browser, path, state[:-3] + "abc"),
        (browser, path, ""),
    ):
        assert who.get(f"{where}?state={shown}").status_code == 403
        assert who.post(f"{where}/continue", state=shown).status_code == 403
    assert len(world.ledger.audit) == audited


def _no_time(world: World) -> None:
    """From now on the clock goes on by a minute whenever it is asked."""
    asked = world.clock.monotonic_s

    def later() -> float:
        world.clock.advance(60)
        return asked()

    world.clock.monotonic_s = later  # type: ignore[method-assign]


def test_a_run_that_goes_on_is_not_rolled_back(browser: Browser, world: World) -> None:
    active = world.run_actions.start(BY_TESTER, incremental=False).run_id
    assert "End it first" in told(browser, browser.get(f"/runs/{active}/rollback"))
