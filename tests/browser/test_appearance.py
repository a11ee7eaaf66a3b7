"""Every page, on a desk and on a phone, by day and by night: readable, labelled, not too wide."""

from dataclasses import replace
from typing import Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from shared.bootstrap import services
from shared.services.plan_run import RunRequest
from tests.browser.accessibility import faults_of, overflow_px
from tests.browser.conftest import NewPage, sign_in
from tests.browser.serving import Dashboard
from tests.browser.watched import DESK, PHONE
from tests.conftest import Setting

ALICE = RunRequest(admin_address="alice")
LONG = "the contract was asked at a wrong address for about two hours before anybody noticed, " * 4


@pytest.fixture
def paths(drift: list[str], environment: Setting) -> list[str]:
    """Pages with something on them: runs of most states, a hold, a rollback, checks."""
    environment()
    made = services()
    made.solvency.check("alice")
    found = made.sweeper.sweep("alice", dry_run=True).summary.run_id
    asked = made.run_actions.start(replace(ALICE, needs_approval=True), incremental=False)
    made.run_actions.go_on(asked.run_id, lambda: False)
    applied = made.sweeper.apply(found, "alice").summary.run_id
    audit_id = made.audit.list_user(drift[0])[0].audit_id
    made.rollbacks.audit(audit_id, "alice", LONG[:400])
    kept = made.audit.list_user(drift[1])[0].audit_id
    made.holds.hold(drift[5], "alice", "<b>looked at</b> & kept")
    return [
        "/",
        "/runs",
        f"/runs/{found}",
        f"/runs/{found}/apply",
        f"/runs/{asked.run_id}",
        f"/runs/{applied}",
        f"/runs/{applied}/rollback",
        "/runs/start",
        "/users",
        f"/users/{drift[0]}",
        f"/users/{drift[1]}/rollback/{kept}",
        "/users/0x00000000000000ff",
        "/holds",
        "/reports",
        "/solvency",
        "/alerts",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_can_be_read(
    new_page: NewPage,
    dashboard: Dashboard,
    paths: list[str],
    viewport: ViewportSize,
    scheme: Literal["light", "dark"],
) -> None:
    page = new_page(viewport=viewport, color_scheme=scheme)
    page.goto("/sign-in")
    faults = {"/sign-in": looked_at(page)}
    sign_in(page, dashboard.admin_key)
    for path in paths:
        page.goto(path)
        faults[path] = looked_at(page)

    viewer = new_page(viewport=viewport, color_scheme=scheme)
    sign_in(viewer, dashboard.viewer_key)  # an admin's page would work on the run
    active = services().run_actions.start(ALICE, incremental=False).run_id
    viewer.goto(f"/runs/{active}")
    expect(viewer.get_by_role("progressbar")).to_be_visible()
    faults["active run"] = looked_at(viewer)
    assert {path: found for path, found in faults.items() if found} == {}


def looked_at(page: Page) -> list[str]:
    wide = overflow_px(page)
    return [*faults_of(page), *([f"{wide} px too wide"] if wide > 0 else [])]


def test_the_night_is_dark(new_page: NewPage) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        page.goto("/sign-in")
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(map(int, text[4:-1].split(","))) for text in colours)
    assert light > 600
    assert dark < 150
