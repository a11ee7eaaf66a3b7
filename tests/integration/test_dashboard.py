"""The dashboard's pages over the real ledger and the real contract, and its sign-in's limits."""

from collections.abc import Callable, Mapping

import pytest

from shared import bootstrap
from shared.core.access import ApiKey, Role, key_digest
from tests.conftest import LedgerTables, Setting, new_addresses
from tests.unit.dashboard_client import Browser, new_browser, text_of
from tests.unit.serving import KEY

FLOW = 100_000_000
SESSION_SECRET = "a-session-secret-of-more-than-32-characters"


@pytest.fixture
def browser(environment: Setting, ledger_rows: LedgerTables) -> Browser:
    """Nobody has signed in yet; the ledger is empty."""
    assert ledger_rows.balances() == {}
    environment(
        RECONCILE_API_KEYS=ApiKey("ops", Role.ADMIN, key_digest(KEY)).line(),
        RECONCILE_SESSION_SECRET=SESSION_SECRET,
        FUNCTION_TARGET="",
        FUNCTION_SIGNATURE_TYPE="http",
    )
    return new_browser(bootstrap.services())


@pytest.fixture
def drifted(
    ledger_rows: LedgerTables, contract_balances: Callable[[Mapping[str, int]], None]
) -> list[str]:
    """Three users: one with 2 FLOW too little in the ledger, one with 5 too much, one as it is."""
    users = new_addresses(3)
    contract_balances(dict.fromkeys(users, 7 * FLOW))
    ledger_rows.insert({users[0]: 5 * FLOW, users[1]: 12 * FLOW, users[2]: 7 * FLOW})
    return users


def test_pages_of_an_empty_ledger_can_be_shown(browser: Browser) -> None:
    browser.sign_in()
    assert "no run has looked at the ledger yet" in text_of(browser.get("/"))
    for path in ("/runs", "/solvency", "/alerts"):
        assert browser.get(path).status_code == 200, path


def test_a_run_is_shown_with_its_users_as_they_are_asked_for(
    browser: Browser, drifted: list[str]
) -> None:
    short, long, _ = drifted
    run = bootstrap.services().sweeper.sweep("ops", dry_run=True).summary
    browser.sign_in()
    path = f"/runs/{run.run_id}"

    page = text_of(browser.get(path))
    assert "Users looked at 3 in sync 1 corrected 0 would correct 2" in page
    assert "Surplus +2.00000000" in page
    assert "Deficit −5.00000000" in page
    by_size = browser.get(f"{path}?order=discrepancy").text
    assert by_size.index(long) < by_size.index(short)
    found = browser.get(f"{path}?q={short[6:].upper()}&outcome=would_correct").text
    assert short in found
    assert long not in found
    assert "Nobody fits." in text_of(browser.get(f"{path}?outcome=failed"))
    assert run.run_id.hex[:8] in text_of(browser.get("/runs"))
    assert "Not whole: 2 of 3 users still differ" in text_of(browser.get("/"))


def test_an_admin_checks_solvency_and_reads_of_the_alert(
    browser: Browser, ledger_rows: LedgerTables
) -> None:
    ledger_rows.insert({new_addresses(1)[0]: 10**15 + 1})
    browser.sign_in()
    assert browser.post("/solvency/check").headers["Location"] == "/solvency"
    assert "The check is made: deficit." in text_of(browser.get("/solvency"))
    assert "Ledger 10,000,000.00000001 of 1 user" in text_of(browser.get("/solvency"))
    assert "Solvency mismatch" in text_of(browser.get("/alerts"))
    assert "Solvency mismatch since" in text_of(browser.get("/"))


def test_attempts_to_sign_in_are_counted_for_all_instances(browser: Browser) -> None:
    statuses = [
        new_browser(browser.services).sign_in("a wrong key" * 4).status_code for _ in range(11)
    ]
    assert statuses == [303] * 10 + [429]
    assert browser.sign_in().status_code == 429
