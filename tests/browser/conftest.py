"""A real browser in front of the dashboard in front of a real stack."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.serving import Dashboard, serving_dashboard
from tests.browser.watched import TIMEOUT_MS, Watch, watched_context
from tests.conftest import LedgerTables, new_addresses
from tests.gotrue import gotrue
from tools.browser import ARGUMENTS, find_browser
from tools.stack import Stack
from tools.stack.progress import stderr_progress

FLOW = 100_000_000

NewPage = Callable[..., Page]

expect.set_options(timeout=TIMEOUT_MS)


# A module's, not a session's: while Playwright runs, this thread has a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_browser(stderr_progress())
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def dashboard(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    log = tmp_path_factory.mktemp("dashboard") / "log"
    with gotrue() as accounts, serving_dashboard(stack, accounts, log) as served:
        accounts.add("alice@example.com", "admin")
        yield served


@pytest.fixture
def watch() -> Watch:
    """Filled by `new_page`."""
    return Watch()


@pytest.fixture
def new_page(browser: Browser, dashboard: Dashboard, watch: Watch) -> Iterator[NewPage]:
    """Opens a page in a profile of its own: `new_page(viewport=PHONE, color_scheme="dark")`."""
    with ExitStack() as contexts:

        def opened(**options: object) -> Page:
            options = {"base_url": dashboard.url, "accept_downloads": True, **options}
            context: BrowserContext = contexts.enter_context(
                watched_context(browser, watch, **options)
            )
            return context.new_page()

        yield opened


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.fixture
def admin(page: Page, dashboard: Dashboard) -> Page:
    """A page of somebody who has signed in as the admin alice."""
    sign_in(page, dashboard.admin_key)
    return page


def sign_in(page: Page, key: str) -> None:
    """By key; ends on the overview."""
    page.goto("/sign-in")
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Sign in with the key").click()
    page.wait_for_url("**/")


@pytest.fixture
def drift(
    ledger_rows: LedgerTables, contract_balances: Callable[[Mapping[str, int]], None]
) -> list[str]:
    """120 users of 10 FLOW, in key order; the ledger has 5 too little for the first two, and 2.5
    too much for the third."""
    users = new_addresses(120)
    contract_balances(dict.fromkeys(users, 10 * FLOW))
    wrong = {users[0]: 5 * FLOW, users[1]: 5 * FLOW, users[2]: 1_250_000_000}
    ledger_rows.insert(dict.fromkeys(users, 10 * FLOW) | wrong)
    return users
