"""People sign in, by key and by e-mail, and out again."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage, sign_in
from tests.browser.serving import Dashboard
from tests.browser.watched import Watch
from tests.conftest import LedgerTables
from tests.gotrue import PASSWORD


@pytest.fixture(autouse=True)
def unlimited(ledger_rows: LedgerTables) -> None:
    """Attempts of other tests do not count: the ledger is emptied, and what counts them too."""


def test_with_a_key_and_out_again(page: Page, dashboard: Dashboard) -> None:
    page.goto("/runs")
    expect(page).to_have_url(f"{dashboard.url}/sign-in?next=%2Fruns")
    page.get_by_label("Key", exact=True).fill(dashboard.admin_key)
    page.get_by_role("button", name="Sign in with the key").click()
    expect(page).to_have_url(f"{dashboard.url}/runs")
    expect(page.get_by_role("banner")).to_contain_text("alice admin")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You have signed out.")
    page.goto("/runs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_with_an_account(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{dashboard.url}/")
    expect(page.get_by_role("banner")).to_contain_text("alice@example.com admin")


def test_a_wrong_password_says_no_more_than_a_wrong_key(page: Page) -> None:
    refused = "That is not accepted. Check what you entered and try again."
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("status")).to_have_text(refused)

    page.get_by_label("E-mail address").fill("nobody@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("status")).to_have_text(refused)

    page.get_by_label("Key", exact=True).fill("x" * 43)
    page.get_by_role("button", name="Sign in with the key").click()
    expect(page.get_by_role("status")).to_have_text(refused)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_with_the_keyboard_alone(page: Page, dashboard: Dashboard) -> None:
    page.goto("/sign-in")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "key":
            break
    page.keyboard.type(dashboard.admin_key)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{dashboard.url}/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_the_cookie_is_kept_from_scripts_and_other_sites(page: Page, dashboard: Dashboard) -> None:
    sign_in(page, dashboard.admin_key)
    (cookie,) = [each for each in page.context.cookies() if each.get("name") == "reconcile_session"]
    assert cookie.get("httpOnly") is True
    assert cookie.get("sameSite") in ("Lax", "Strict")
    assert page.evaluate("document.cookie") == ""


def test_a_viewer_sees_and_cannot_act(
    new_page: NewPage, dashboard: Dashboard, watch: Watch, drift: list[str]
) -> None:
    page = new_page()
    sign_in(page, dashboard.viewer_key)
    for path in ("/runs", "/users", f"/users/{drift[0]}", "/holds", "/reports", "/solvency"):
        page.goto(path)
        expect(page.get_by_role("banner")).to_contain_text("victor viewer")
        forms = page.locator("form[method=post]")
        expect(forms).to_have_count(1)
        expect(forms.get_by_role("button")).to_have_text("Sign out")

    watch.expect(403)
    page.goto("/runs/start")
    expect(page.get_by_role("heading", level=1)).to_have_text("You may not do this")
    # A form of another page, with this session's own token, sent where only admins may send it.
    page.goto(f"/users/{drift[0]}")
    page.evaluate(
        "path => { const form = document.querySelector('form'); form.action = path;"
        " form.submit(); }",
        f"/users/{drift[0]}/reconcile",
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("You may not do this")
