"""The PDF report, read back by pypdf as a reader would show it."""

import io
import re

import pytest
from pypdf import PdfReader

from shared.core.amount import UFIX64_MAX, FlowAmount
from shared.core.outcome import Outcome
from shared.core.report import Report
from shared.core.review import Halt
from shared.core.run import RunState
from shared.core.solvency import SolvencyState
from shared.reports import pdf_report
from shared.reports.pdf_report import write_pdf
from shared.reports.sums import sum_up
from tests.unit.audit_rows import audit_row, rolled_back
from tests.unit.reports import check, period_report, result, run_of, run_report, user_report
from tests.unit.runs import RUN_ID, run
from tests.unit.users import user


def pdf(report: Report) -> bytes:
    file = io.BytesIO()
    write_pdf(report, file)
    return file.getvalue()


def pages(report: Report) -> list[str]:
    """What each page says, on one line."""
    read = PdfReader(io.BytesIO(pdf(report)))
    return [" ".join(page.extract_text().split()) for page in read.pages]


def test_the_same_report_gives_the_same_bytes() -> None:
    reports = (
        run_report(*map(result, range(200))),
        period_report(*map(audit_row, range(200))),
        user_report(*map(audit_row, range(200))),
    )
    for report in reports:
        assert pdf(report) == pdf(report)


def test_the_first_page_answers() -> None:
    first, _ = pages(run_report(result(3), result(4, Outcome.TRANSIENT)))
    assert (
        "Whole: all 9 users agreed with the contract up to block 7; the vault covers the ledger."
        in first
    )
    assert f"Reconciliation run {RUN_ID}" in first
    assert "In sync 7" in first
    assert "Corrected 1 0.00000003 FLOW" in first
    assert "Transient 1 0.00000004 FLOW" in first
    assert "Contract above ledger 0.00000007 FLOW" in first
    assert "Net 0.00000007 FLOW" in first
    assert "Started 2026-01-02 03:04:05 UTC by ADMIN" in first
    assert "Block heights 7 to 9" in first
    assert "Ledger (users, total) 10 12.00000000 FLOW Vault 12.00000000 FLOW" in first
    assert "Made 2026-01-02 04:04:05 UTC by alice" in first


def test_the_checksum_is_that_of_the_csv() -> None:
    report = run_report(result(3))
    assert f"SHA-256 of its CSV {sum_up(report).sha256}" in pages(report)[0]


def test_a_row_has_all_that_is_known_of_the_user() -> None:
    _, second = pages(run_report(result(3)))
    assert f"{user(3)} corrected 0.00000005 0.00000008 +0.00000003 7 3" in second


def test_why_a_user_failed_is_told_whole() -> None:
    error = "panic: no such player " * 20 + "Ask."
    first, second = pages(run_report(result(3, Outcome.FAILED, error=error)))
    assert "Not known: 1 of 8 users could not be compared or corrected" in first
    assert "Failed 1" in first
    assert f"contract_query_failed: {error}" in second


def test_what_was_rolled_back_since_is_told_first() -> None:
    first, _ = pages(run_report(result(3), rolled_back=1))
    assert "Not whole: 1 correction of this run was rolled back since; the vault" in first
    assert "Looked at 8 Rolled back since 1" in first
    first, *_ = pages(period_report(runs=(run_of([result(3)]),), rolled_back=2))
    assert "Not whole: by the last run of the period, 2 corrections of this run were" in first
    assert "Rolled back since, of the last run 2" in first


def test_nobody_was_out_of_sync() -> None:
    (only,) = pages(run_report())
    assert "Nobody was out of sync." in only
    assert "Page 1 of 1" in only


def test_a_halted_run_says_why_and_is_not_called_whole() -> None:
    halt = Halt("most_differ", "60 of 100 users differ", "Check the contract's address.")
    results = [result(number, Outcome.WOULD_CORRECT) for number in range(1, 4)]
    stopped = run_of(results, state=RunState.HALTED, halt=halt)
    first, _ = pages(run_report(*results, run=stopped))
    assert "Not known: the safety stop ended the run before it wrote anything" in first
    assert "60 of 100 users differ" in first
    assert "Check the contract's address." in first
    assert "Would correct 3" in first


def test_pages_are_numbered_and_repeat_their_head() -> None:
    read = pages(run_report(*map(result, range(1, 301))))
    assert len(read) > 3
    for number, text in enumerate(read, 1):
        assert f"Page {number} of {len(read)}" in text
        assert (f"run-{RUN_ID}" in text) is True
    for text in read[1:]:
        assert text.count("Address Outcome Ledger (FLOW) Contract (FLOW)") == 1


def test_ten_thousand_rows_are_all_there() -> None:
    read = pages(run_report(*map(result, range(10_000))))
    listed = re.findall("0xabcdef[0-9a-f]{10}", " ".join(read))
    assert listed == [user(number) for number in range(10_000)]


def test_of_too_many_rows_the_largest_are_listed_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf_report, "PDF_ROWS_MAX", 3)
    sizes = {1: 5, 2: -9, 3: 7, 5: 6}
    results = [
        result(number, discrepancy=FlowAmount(size), new_balance=FlowAmount(50))
        for number, size in sizes.items()
    ]
    results.insert(3, result(4, Outcome.FAILED))
    _, second = pages(run_report(*results))
    assert "The 3 of 5 rows with the largest amounts. The CSV has all of them." in second
    assert re.findall("0xabcdef[0-9a-f]{10}", second) == [user(2), user(3), user(4)]


@pytest.mark.parametrize(
    "text",
    [
        "漢字 Жид \U0001f4b8 é",
        "\x00\x1b[31m\r\n\t‮",
        "(a) \\ ) ( %",
        "\ud800",
        "x" * 3_000,
        " ",
    ],
)
def test_no_text_breaks_the_page(text: str) -> None:
    rows = (result(1, user_address=text), result(2, Outcome.FAILED, error=text))
    read = "".join(pages(run_report(*rows, made_by=text or "x")))
    shown = text.encode("unicode_escape").decode() if not text.isprintable() else text
    for part in re.findall(r"[\w]{4,}", shown, re.ASCII)[:3]:
        assert part[:16] in read.replace(" ", "")
    assert "é" in read or "é" not in text


def test_what_the_fonts_lack_is_written_as_its_code() -> None:
    assert r"contract_query_failed: \u6f22\u5b57 é \u0416" in " ".join(
        pages(run_report(result(1, Outcome.FAILED, error="漢字 é Ж")))
    )


def test_a_long_key_is_not_cut() -> None:
    key = "a-key-that-is-no-address-and-much-too-long-for-its-column@example.com"
    _, second = pages(run_report(result(1, user_address=key)))
    address = second.split("Audit row ")[1].split(" corrected")[0]
    assert address.replace(" ", "") == key


def test_a_cell_higher_than_a_page_goes_over_several() -> None:
    key = "k" * 5_000
    read = pages(run_report(result(1, user_address=key), result(2)))
    assert len(read) > 4
    assert sum(text.count("k" * 4) * 4 for text in read[1:]) >= 4_000
    assert len(re.findall("k", re.sub("Users who.*?Audit row", "", " ".join(read[1:])))) == 5_000
    assert user(2) in read[-1]


def test_the_largest_amounts_stay_on_one_line() -> None:
    rows = [
        result(
            1,
            old_balance=UFIX64_MAX,
            new_balance=FlowAmount(0),
            discrepancy=FlowAmount(-UFIX64_MAX),
            block_height=1_234_567_890,
            audit_id="123456789",
        )
    ]
    text = pages(run_report(*rows))[1]
    largest = "184467440737.09551615"
    assert f"{largest} 0.00000000 -{largest} 1234567890 123456789" in text


def test_a_period_has_its_runs_totals_and_rows() -> None:
    report = period_report(audit_row(3), rolled_back(4, 3), runs=(run(dry_run=True), run()))
    first, *rest = pages(report)
    assert "Reconciliation from 2026-01-02 to 2026-01-03" in first
    assert "Not whole: by the last run of the period, 2 of 10 users still differ" in first
    assert "Runs 2" in first
    assert "of these dry runs 1" in first
    assert "Users corrected 2" in first
    assert "deposit 3 5.00000000 FLOW increases 7.00000000 FLOW decreases -2.00000000 FLOW" in first
    text = " ".join([first, *rest])
    assert f"{RUN_ID} 2026-01-02 03:04:05 dry run, finished 10" in text
    assert "reconciliation +0.00000003 0.00000008 7 3" in text
    assert "reverses audit row 3, reason: a wrong contract address" in text


def test_a_period_without_anything() -> None:
    (only,) = pages(period_report(runs=(), totals=(), solvency=None))
    assert "Not known: no run started in this period; no solvency check is stored." in only
    assert "The audit log has no such row." in only


def test_a_user_has_both_balances_and_the_history() -> None:
    report = user_report(rolled_back(2, 1), audit_row(1))
    first, second = pages(report)
    assert f"Balance history of {user(1)}" in first
    assert "Whole: the ledger agrees with the contract at height 7." in first
    assert "Ledger 0.00000005 FLOW Contract 0.00000005 FLOW" in first
    assert "reconciliation 1 0.00000001 FLOW" in first
    assert "reconciliation_rollback 1 -0.00000001 FLOW" in first
    assert "rollback_by_alice, reverses audit row 1, reason: a wrong contract address" in second


def test_a_check_that_could_not_be_made_says_why() -> None:
    unread = check(
        state=SolvencyState.UNREADABLE,
        ledger_total=None,
        error_code="contract_timeout",
        error="No answer.",
    )
    first = pages(run_report(solvency=unread))[0]
    assert "the latest solvency check could not read both sides" in first
    assert "contract_timeout: No answer." in first


def test_the_file_says_what_it_is() -> None:
    metadata = PdfReader(io.BytesIO(pdf(run_report()))).metadata
    assert metadata is not None
    assert metadata.title == f"Reconciliation run {RUN_ID}"
    assert metadata.author == "alice"
