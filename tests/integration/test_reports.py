"""Reports of what happened, on the real ledger and contract: sweeps, a rollback, an outage."""

import csv
import hashlib
import io
import json
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pypdf import PdfReader

from shared.bootstrap import services
from shared.core.outcome import Outcome
from shared.core.report import Report
from shared.core.solvency import SolvencyState
from shared.core.stored_report import StoredState
from shared.reports.formats import write_report
from shared.reports.sums import sum_up
from tests.conftest import Balances, LedgerTables, Setting, new_addresses
from tools.stack import Stack

ROOT = Path(__file__).parents[2]


def written(report: Report, format_name: str) -> bytes:
    file = io.BytesIO()
    write_report(report, format_name, file)
    return file.getvalue()


def text_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text().split()) for page in pages)


def test_reports_tell_what_was_done(
    ledger_rows: LedgerTables, on_balance_fixture: Balances
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    users = new_addresses(6)
    on_balance_fixture.set({user: 100 + n for n, user in enumerate(users)})
    on_balance_fixture.fail([users[5]])
    ledger_rows.insert(dict.fromkeys(users, 100))
    made = services()
    run = made.sweeper.sweep("alice", dry_run=False).summary
    assert run.count(Outcome.CORRECTED) == 4
    taken_back = next(row for row in made.audit.list_user(users[4]))
    made.rollbacks.audit(taken_back.audit_id, "alice", "a wrong block")

    # A run: its rows tie to its counts, and all three formats to each other.
    report = made.reports.run(run.run_id, "bob")
    table = written(report, "csv")
    rows = list(csv.DictReader(io.StringIO(table.decode(), newline="")))
    assert [row["user_address"] for row in rows] == users[1:]
    told = json.loads(written(report, "json"))
    assert told["csvSha256"] == hashlib.sha256(table).hexdigest()
    assert told["run"] == run.as_json()
    groups = sum_up(report).groups
    for outcome in set(Outcome) - {Outcome.IN_SYNC}:
        assert run.count(outcome) == (groups[outcome].rows if outcome in groups else 0)
    assert groups[Outcome.CORRECTED].net == run.surplus + run.deficit == 10
    paper = written(report, "pdf")
    assert paper == written(report, "pdf")
    text = text_of(paper)
    assert "Not whole: 1 correction of this run was rolled back since" in text
    assert told["rolledBack"] == 1
    assert told["csvSha256"] in text
    assert all(user in text for user in users[1:])

    # A period: ours, and what all of it adds up to.
    period = made.reports.period(began, None, "bob")
    assert [each.run_id for each in period.runs] == [run.run_id]
    listed = [(row.operation_type, row.amount) for row in period.rows]
    assert sorted(listed[:4]) == [("reconciliation", n) for n in range(1, 5)]
    assert listed[4:] == [("reconciliation_rollback", -4)]
    assert [(total.operation_type, total.rows, total.net) for total in period.totals] == [
        ("reconciliation", 4, 10),
        ("reconciliation_rollback", 1, -4),
    ]

    # A user: the correction and its rollback, the newest first.
    history = made.reports.user(users[4].upper().replace("0X", "0x"), "bob")
    assert history.user_address == users[4]
    assert history.standing.outcome is Outcome.HELD
    newest, oldest = history.rows
    assert (newest.reverses_audit_id, newest.reason) == (oldest.audit_id, "a wrong block")
    assert (oldest.chain_no, newest.chain_no) == (1, 2)
    assert "reason: a wrong block" in text_of(written(history, "pdf"))
    assert "and the user is held" in text_of(written(history, "pdf"))


def test_an_ended_run_is_kept_in_a_bucket(
    aws: str,
    environment: Setting,
    ledger_rows: LedgerTables,
) -> None:
    import boto3

    bucket = f"reports-{secrets.token_hex(4)}"
    client = boto3.session.Session().client("s3", endpoint_url=aws)
    client.create_bucket(Bucket=bucket)
    environment(RECONCILE_REPORT_STORE=f"s3://{bucket}/ledger")
    (user,) = new_addresses(1)
    ledger_rows.insert({user: 7})
    run = services().sweeper.sweep("alice", dry_run=False).summary
    store = services().report_store
    assert store is not None

    assert [store.store_pending(), store.store_pending()] == [1, 0]

    stored = store.stored(run.run_id)
    assert stored is not None
    assert stored.state is StoredState.STORED
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [f"ledger/{stored.path}.csv", f"ledger/{stored.path}.pdf"]
    with client.get_object(Bucket=bucket, Key=keys[0])["Body"] as body:
        table = body.read()
    assert hashlib.sha256(table).hexdigest() == stored.sha256
    assert user in table.decode()
    client.close()


def test_a_bucket_that_is_not_there_fails_no_run(
    aws: str,  # noqa: ARG001 (S3 is moto's)
    environment: Setting,
    ledger_rows: LedgerTables,
) -> None:
    environment(RECONCILE_REPORT_STORE="s3://there-is-no-such-bucket")
    ledger_rows.insert(dict.fromkeys(new_addresses(1), 7))
    run = services().sweeper.sweep("alice", dry_run=False).summary
    assert run.complete
    store = services().report_store
    assert store is not None
    assert store.store_pending() == 0
    stored = store.stored(run.run_id)
    assert stored is not None
    assert (stored.state, stored.error_code) == (StoredState.FAILED, "report_store_error")
    assert "NoSuchBucket" in (stored.error or "")


def test_the_command_writes_what_a_sweep_did(
    stack: Stack, ledger_rows: LedgerTables, tmp_path: Path
) -> None:
    ledger_rows.insert(dict.fromkeys(new_addresses(3), 7))
    command = [sys.executable, "-m", "shared.cli"]
    env = {**stack.env, "RECONCILE_SETTLE_S": "0", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}

    def reconcile(*words: str) -> bytes:
        done = subprocess.run([*command, *words], cwd=tmp_path, env=env, capture_output=True)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    reconcile("--all", "--yes", "--accept-halt", "nobody has paid in")
    reconcile("solvency", "--json")
    printed = reconcile("report", "run", "latest", "--output", "run.pdf")
    table = reconcile("report", "run", "latest", "--output", "-")
    assert printed.startswith(b"run.pdf: 3 rows. ")
    text = text_of((tmp_path / "run.pdf").read_bytes())
    assert "Corrected 3 -0.00000021 FLOW" in text
    assert hashlib.sha256(table).hexdigest() in text


def test_the_latest_check_is_on_the_first_page(
    environment: Setting,  # noqa: ARG001 (the stack's settings)
    ledger_rows: LedgerTables,
) -> None:
    ledger_rows.insert(dict.fromkeys(new_addresses(2), 500_000_000))
    made = services()
    made.sweeper.sweep("alice", dry_run=True)
    check = made.solvency.check("alice")
    report = made.reports.run(None)
    assert report.solvency == check
    text = text_of(written(report, "pdf"))
    assert check.state is not SolvencyState.SOLVENT, "nobody has paid in what the ledger has"
    assert "Not whole: 2 of 2 users still differ" in text
    assert f"Latest check {check.checked_at:%Y-%m-%d %H:%M:%S} UTC" in text
