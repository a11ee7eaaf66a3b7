"""What an operator does with the dashboard, from drift to a ledger that agrees, and back."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect
from pypdf import PdfReader

from shared.bootstrap import services
from shared.services.plan_run import RunRequest
from tests.browser.conftest import FLOW, NewPage, sign_in
from tests.browser.serving import Dashboard
from tests.browser.watched import Watch
from tests.conftest import LedgerTables, Setting


def run_id_of(page: Page) -> UUID:
    """Of the run whose page is shown."""
    found = re.search(r"/runs/([0-9a-f-]{36})", page.url)
    assert found, page.url
    return UUID(found[1])


def stat(page: Page, name: str) -> Locator:
    """The number beside a label."""
    return page.locator("dl.stats div", has=page.get_by_text(name, exact=True)).locator("dd")


def start_dry_run(page: Page) -> UUID:
    """From the overview; ends on the run's page when the run has ended."""
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name="Start a run…").click()
    page.get_by_role("button", name="Start a dry run").click()
    ended(page, "finished")
    return run_id_of(page)


def ended(page: Page, state: str) -> None:
    """Waits for the run on the page to get there: by itself, or by the button without scripts."""
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    badge = page.locator(".badge", has_text=state).first
    expect(badge).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)


def notice(page: Page) -> Locator:
    return page.locator("main > .notice")


def apply_shown_run(page: Page, users: int) -> None:
    """From the page of a run that has a plan to the page of the run that carries it out."""
    page.get_by_role("link", name="Apply exactly this…").click()
    page.get_by_label(f"Type {users} to confirm").fill(str(users))
    page.get_by_role("button", name=f"Correct {users} user").click()
    ended(page, "finished")


def test_find_preview_apply_watch_and_find_nothing(
    admin: Page, drift: list[str], ledger_rows: LedgerTables
) -> None:
    found = start_dry_run(admin)
    expect(stat(admin, "Users looked at")).to_have_text("120")
    expect(stat(admin, "would correct")).to_have_text("3")
    expect(stat(admin, "in sync")).to_have_text("117")
    rows = admin.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text=drift[0])).to_contain_text("+5.00000000")
    expect(rows.filter(has_text=drift[2])).to_contain_text("−2.50000000")
    assert not ledger_rows.audit()

    admin.get_by_role("link", name="Apply exactly this…").click()
    expect(admin.locator(".lead")).to_contain_text("3 users would be corrected")
    expect(admin.locator("dl.facts")).to_contain_text("+10.00000000")
    expect(admin.locator("dl.facts")).to_contain_text("−2.50000000")
    # Somebody pays in meanwhile: the second user's row is not what was shown any more.
    ledger_rows.run(
        f"update public.user_balances set balance = 6 where user_address = '{drift[1]}'"
    )
    admin.get_by_label("Type 3 to confirm").fill("3")
    admin.get_by_role("button", name="Correct 3 users").click()
    ended(admin, "finished")
    assert run_id_of(admin) != found
    expect(stat(admin, "corrected")).to_have_text("2")
    expect(stat(admin, "changed meanwhile")).to_have_text("1")
    balances = ledger_rows.balances()
    assert [balances[user] for user in drift[:3]] == [10 * FLOW, 6 * FLOW, 10 * FLOW]
    assert {row.transaction_hash for row in ledger_rows.audit()} == {"reconciliation_by_alice"}

    start_dry_run(admin)
    expect(stat(admin, "would correct")).to_have_text("1")
    apply_shown_run(admin, 1)
    start_dry_run(admin)
    expect(admin.get_by_text("Everyone was in sync.")).to_be_visible()


@pytest.mark.usefixtures("drift")
def test_a_run_is_worked_on_and_watched_while_its_page_is_open(
    admin: Page, new_page: NewPage, dashboard: Dashboard, environment: Setting
) -> None:
    environment(RECONCILE_BATCH_SIZE="20", RECONCILE_SETTLE_S="3")
    run_id = services().run_actions.start(RunRequest(admin_address="bob"), incremental=False).run_id
    viewer = new_page()
    sign_in(viewer, dashboard.viewer_key)
    viewer.goto(f"/runs/{run_id}")
    expect(stat(viewer, "Users looked at")).to_have_text("0")
    expect(viewer.get_by_role("button", name="Continue")).to_have_count(0)

    admin.goto(f"/runs/{run_id}")
    ended(admin, "finished")
    expect(stat(admin, "corrected")).to_have_text("3")
    ended(viewer, "finished")
    expect(stat(viewer, "corrected")).to_have_text("3")


@pytest.mark.usefixtures("drift")
def test_a_sweep_that_asks_is_approved(admin: Page, ledger_rows: LedgerTables) -> None:
    admin.goto("/runs/start")
    admin.get_by_role("button", name="Start, and ask me").click()
    ended(admin, "awaiting approval")
    assert not ledger_rows.audit()
    expect(admin.get_by_text("+10.00000000 FLOW and −2.50000000 FLOW")).to_be_visible()
    admin.get_by_role("button", name="Approve: correct 3 users").click()
    ended(admin, "finished")
    expect(stat(admin, "corrected")).to_have_text("3")
    assert set(ledger_rows.balances().values()) == {10 * FLOW}

    admin.goto("/runs/start")
    admin.get_by_role("button", name="Start a dry run").click()
    ended(admin, "finished")
    expect(admin.get_by_text("Everyone was in sync.")).to_be_visible()
    expect(admin.get_by_role("link", name="Apply exactly this…")).to_have_count(0)


@pytest.mark.usefixtures("drift")
def test_a_sweep_at_once_wants_a_word(admin: Page, watch: Watch) -> None:
    admin.goto("/runs/start")
    watch.expect(422)
    admin.get_by_label("Type the word correct to confirm").fill("yes")
    admin.get_by_role("button", name="Sweep and correct").click()
    expect(admin.get_by_role("alert")).to_have_text(
        "Nothing was done: 'yes' was typed, not 'correct'."
    )
    admin.get_by_label("Type the word correct to confirm").fill("correct")
    admin.get_by_role("button", name="Sweep and correct").click()
    ended(admin, "finished")
    expect(stat(admin, "corrected")).to_have_text("3")


def test_what_the_safety_stop_objects_to_needs_a_reason(
    admin: Page,
    drift: list[str],
    ledger_rows: LedgerTables,
    contract_balances: Callable[[Mapping[str, int]], None],
) -> None:
    contract_balances(dict.fromkeys(drift, FLOW))  # now everybody differs
    start_dry_run(admin)
    admin.get_by_role("link", name="Apply exactly this…").click()
    expect(admin.get_by_text("The safety stop objects:")).to_be_visible()
    admin.get_by_label("Type 120 to confirm").fill("120")
    admin.get_by_label("Reason").fill("a bonus that was paid on chain only")
    admin.get_by_role("button", name="Correct 120 users").click()
    ended(admin, "finished")
    expect(stat(admin, "corrected")).to_have_text("120")
    expect(admin.get_by_text("a bonus that was paid on chain only")).to_be_visible()
    assert set(ledger_rows.balances().values()) == {11 * FLOW}


def test_roll_back_one_correction_hold_sweep_release(
    admin: Page, drift: list[str], ledger_rows: LedgerTables, watch: Watch
) -> None:
    user = drift[0]
    admin.get_by_role("link", name="Users", exact=True).click()
    admin.get_by_label("Address").fill(user[2:].upper())
    admin.get_by_role("button", name="Find").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text(user)
    expect(admin.get_by_text("Differs by +5.00000000 FLOW")).to_be_visible()
    admin.get_by_role("button", name="Reconcile now").click()
    expect(notice(admin)).to_contain_text("Corrected from 5.00000000 to 10.00000000 FLOW")
    expect(admin.get_by_text("In sync", exact=True)).to_be_visible()

    admin.get_by_role("link", name="Roll back…").click()
    button = admin.get_by_role("button", name="Roll back")
    confirm = admin.get_by_label("to confirm")
    audit_id = re.findall(
        r"\d+", admin.get_by_role("heading", level=1).locator("+ p").inner_text()
    )[0]
    watch.expect(422)
    admin.get_by_label("Reason").fill("the deposit is disputed")
    confirm.fill("something else")
    button.click()
    expect(admin.get_by_role("alert")).to_contain_text("Nothing was done")
    expect(admin.get_by_label("Reason")).to_have_value("the deposit is disputed")
    confirm.fill(audit_id)
    button.click()
    expect(notice(admin)).to_contain_text("Rolled back from 10.00000000 to 5.00000000 FLOW")
    expect(admin.get_by_text("Held", exact=True)).to_be_visible()
    expect(admin.get_by_role("button", name="Reconcile now")).to_have_count(0)
    assert ledger_rows.balances()[user] == 5 * FLOW

    admin.goto("/runs/start")
    admin.get_by_role("button", name="Start, and ask me").click()
    ended(admin, "awaiting approval")
    admin.get_by_role("button", name="Approve: correct 2 users").click()
    ended(admin, "finished")
    expect(stat(admin, "held")).to_have_text("1")
    expect(stat(admin, "corrected")).to_have_text("2")
    assert ledger_rows.balances()[user] == 5 * FLOW

    admin.get_by_role("link", name="Holds", exact=True).click()
    expect(admin.get_by_role("row").nth(1)).to_contain_text("the deposit is disputed")
    admin.get_by_role("link", name="Release…").click()
    admin.get_by_role("button", name="Release").click()
    expect(notice(admin)).to_contain_text("Released")
    start_dry_run(admin)
    expect(stat(admin, "would correct")).to_have_text("1")


@pytest.mark.usefixtures("drift")
def test_roll_back_a_run(admin: Page, ledger_rows: LedgerTables) -> None:
    before = ledger_rows.balances()
    start_dry_run(admin)
    apply_shown_run(admin, 3)
    run_id = run_id_of(admin)
    admin.get_by_role("link", name="Roll back its corrections…").click()
    expect(stat(admin, "Would be rolled back")).to_have_text("3")
    expect(stat(admin, "Moves the ledger by")).to_have_text("−7.50000000")
    admin.get_by_label("Reason").fill("the wrong contract")
    admin.get_by_label("to confirm").fill(str(run_id)[:8])
    admin.get_by_role("button", name="Roll back 3 users").click()
    expect(notice(admin)).to_contain_text("Rolled back: 3 corrections, −7.50000000 FLOW.")
    expect(stat(admin, "Rolled back before")).to_have_text("3")
    assert ledger_rows.balances() == before
    admin.goto("/holds")
    expect(admin.get_by_role("row")).to_have_count(4)


def downloaded(page: Page, link: Locator) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        link.click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_reports_are_downloaded(admin: Page, drift: list[str]) -> None:
    run_id = start_dry_run(admin)
    reports = admin.get_by_role("navigation", name="Report of this run")
    name, content = downloaded(admin, reports.get_by_role("link", name="CSV"))
    assert name == f"run-{run_id}.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["user_address"] for row in rows] == sorted(drift[:3])
    assert [row["discrepancy"] for row in rows] == ["5.00000000", "5.00000000", "-2.50000000"]

    name, content = downloaded(admin, reports.get_by_role("link", name="PDF"))
    assert name == f"run-{run_id}.pdf"
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert str(run_id) in text
    assert all(user in text for user in drift[:3])

    name, content = downloaded(admin, reports.get_by_role("link", name="JSON"))
    assert name == f"run-{run_id}.json"
    assert json.loads(content)["run"]["outcomes"]["would_correct"] == 3


def test_reports_of_a_period_and_of_a_user(admin: Page, drift: list[str]) -> None:
    admin.goto(f"/users/{drift[0]}")
    admin.get_by_role("button", name="Reconcile now").click()
    reports = admin.get_by_role("navigation", name="Report of this user")
    name, content = downloaded(admin, reports.get_by_role("link", name="CSV"))
    assert name == f"user-{drift[0]}.csv"
    assert b"reconciliation_by_alice" in content

    admin.goto("/reports")
    admin.get_by_label("From").fill("2026-01-01")
    admin.get_by_role("button", name="Choose this period").click()
    reports = admin.get_by_role("navigation", name="Report of this period")
    name, content = downloaded(admin, reports.get_by_role("link", name="PDF"))
    assert re.fullmatch(r"period-2026-01-01-to-.*\.pdf", name)
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert drift[0] in text


def test_a_user_whom_nobody_knows(admin: Page, watch: Watch) -> None:
    admin.goto("/users")
    watch.expect(422)
    admin.get_by_label("Address").fill("0x12")
    admin.get_by_role("button", name="Find").click()
    expect(admin.get_by_role("alert")).to_contain_text("“0x12” is no Flow address")
    admin.get_by_label("Address").fill("0x00000000000000ff")
    admin.get_by_role("button", name="Find").click()
    expect(admin.get_by_text("Not in the ledger", exact=True)).to_be_visible()


def test_all_of_it_without_scripts(
    new_page: NewPage, dashboard: Dashboard, drift: list[str], ledger_rows: LedgerTables
) -> None:
    page = new_page(java_script_enabled=False)
    sign_in(page, dashboard.admin_key)
    page.goto("/runs/start")
    page.get_by_role("button", name="Start a dry run").click()
    continued(page, "finished")
    page.get_by_role("link", name="Apply exactly this…").click()
    page.get_by_label("Type 3 to confirm").fill("3")
    page.get_by_role("button", name="Correct 3 users").click()
    continued(page, "finished")
    expect(stat(page, "corrected")).to_have_text("3")
    assert set(ledger_rows.balances().values()) == {10 * FLOW}
    page.goto(f"/users/{drift[0]}")
    page.get_by_label("Reason").fill("to be looked at")
    page.get_by_role("button", name="Hold").click()
    expect(notice(page)).to_contain_text("The user is held")


def continued(page: Page, state: str) -> None:
    """As `ended`, for somebody who presses Continue."""
    for _ in range(30):
        if page.get_by_role("button", name="Continue").count() == 0:
            break
        page.get_by_role("button", name="Continue").click()
    ended(page, state)
