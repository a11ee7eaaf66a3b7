"""What `--help` explains before and after the list of options."""

MAIN = """\
Compare the ledger's balances with the contract's, and correct the ledger where they differ.
Every correction leaves an audit row."""

MAIN_MORE = """\
commands (each has --help):
  reconcile apply RUN         carry out what a dry run or a halted run has found
  reconcile runs              list the runs
  reconcile runs show RUN     one run, with everyone who was not in sync
  reconcile runs cancel RUN   end a run that is not finished
  reconcile solvency          does the vault cover what the ledger promises?
  reconcile verify-audit      is the audit log as it was written?
  reconcile alerts            what is wrong now, and which messages were not delivered
  reconcile alerts test       send a test to everyone who is told of alerts
  reconcile rollback          take back one correction, or all of a run, and hold the users
  reconcile hold USER         keep corrections away from a user
  reconcile release USER      let them go on
  reconcile holds             list who is held
  reconcile report KIND …     a run, a period or a user as CSV, JSON or PDF
  reconcile keys new NAME     make a key for callers of the HTTP functions

examples:
  reconcile --user 0x0000000000000005             correct one user
  reconcile --user 0x0000000000000005 --dry-run   look at one user, write nothing
  reconcile --all --dry-run                       look at everyone, write nothing
  reconcile --all --admin alice                   correct everyone; asks first at a terminal
  reconcile --all --yes --csv drift.csv           correct everyone unasked, keep a report
  reconcile --all --incremental                   those whom events name, and a part of the others
  reconcile --all --resume                        go on with a run that was stopped or has crashed
  reconcile --all --dry-run --json | jq -r 'select(.type == "result") | .userAddress'

exit codes:
  0    everyone is in sync, was corrected, or is held (of --user: is not held)
  1    balances still differ: a dry run found some, a row moved meanwhile, or you declined
  2    somebody failed, the run is incomplete (halted, stopped, an error), or bad usage or settings
  130  quit at once by a second Ctrl-C

Ctrl-C stops between two batches and says what was done; what was corrected stays corrected. A run
that was stopped before it wrote is cancelled; one that was correcting waits for --resume.
Settings come from the environment, or from .env.local when SUPABASE_URL is not set."""

APPLY = """\
Correct what an earlier run has found and did not write: a dry run, or one that was halted, declined
or cancelled. Both balances are read again first; a user who agrees now, or whose ledger row has
moved since, is left alone."""

APPLY_MORE = """\
examples:
  reconcile --all --dry-run                                        find; prints the run's id
  reconcile apply 6900f7a2-1c68-4b4d-a152-04c73fea725e             look at it, then do it
  reconcile apply 6900f7a2-1c68-4b4d-a152-04c73fea725e --yes \\
      --accept-halt "the contract was emptied on purpose, ticket 4711"

Exit codes are those of reconcile --all."""

RUNS = """\
List the runs that are stored, the newest first."""

RUNS_MORE = """\
commands:
  reconcile runs show RUN     one run, with everyone who was not in sync
  reconcile runs cancel RUN   end a run that is not finished

examples:
  reconcile runs
  reconcile runs --limit 100 --json | jq -r 'select(.state == "halted") | .runId'"""

SHOW = """\
Print a run: everyone who was not in sync, and the counts. Exits 0 whatever the run has found."""

SHOW_MORE = """\
examples:
  reconcile runs show 6900f7a2-1c68-4b4d-a152-04c73fea725e
  reconcile runs show 6900f7a2-1c68-4b4d-a152-04c73fea725e --csv drift.csv"""

CANCEL = """\
End a run that is not finished. What it has corrected stays corrected; 'reconcile apply RUN' can
carry out the rest later."""

CANCEL_MORE = """\
example:
  reconcile runs cancel 6900f7a2-1c68-4b4d-a152-04c73fea725e"""

SOLVENCY = """\
Are we whole? Set the ledger's sum against the escrow vault and the contract's own total, both at
one block. A difference is looked at again after RECONCILE_SETTLE_S seconds; one that lasts leaves
an audit row and tells people. No balance is written. Every check is stored."""

SOLVENCY_MORE = """\
examples:
  reconcile solvency
  reconcile solvency --json | jq -r '.state + " " + .difference'

exit codes:
  0    solvent: ledger, vault and contract agree
  1    they do not
  2    one of them could not be read, which says nothing of the money; or bad usage or settings"""

VERIFY_AUDIT = """\
Look through the audit log for rows that were altered, removed or slipped in. Each row carries a
hash of its content and of the user's row before; all of them are computed anew. Nothing is
written."""

VERIFY_AUDIT_MORE = """\
Somebody who can rewrite a row can rewrite all that come after it. The digest stands for every row
written before a moment: keep it, in a report or elsewhere, and later ask for the same --until.

examples:
  reconcile verify-audit
  reconcile verify-audit --until 2026-11-01 --json | jq -r .digest
  reconcile verify-audit --user 0x0000000000000005 --only-writer

exit codes:
  0    every row is as it was written
  2    some are not; or the log could not be looked through; or bad usage or settings

Gaps are rows that do not begin with the balance that the row before ended with; unaudited are users
whose ledger balance is not what their last row says. Both mean that something wrote the ledger
without an audit row. That may be the app; with --only-writer it is a fault."""

ALERTS = """\
List the alerts that are open, the newest first, and the messages about alerts that wait to be sent
or were given up in the last seven days. Alerts are kept in the ledger's database, so this shows
them also where no channel is set."""

ALERTS_MORE = """\
commands:
  reconcile alerts test       send a test to everyone who is told of alerts

examples:
  reconcile alerts
  reconcile alerts --all --json | jq -r 'select(.severity == "critical") | .summary'

What each kind means, and what to do, is in docs/runbook.md."""

TRY_ALERTS = """\
Send a test message through every channel of RECONCILE_ALERT_URLS and RECONCILE_ALERT_TOPIC_ARN, and
say of each whether it went. Channels are named by their scheme and a part of their hash: the URLs
are secrets."""

TRY_ALERTS_MORE = """\
example:
  reconcile alerts test

Exit code 0: all went. 2: one did not, or no channel is set."""

ROLLBACK = """\
Take back the correction of an audit row, or all corrections of a run that has ended. Each balance
goes back to what the correction had found, by an audit row of its own, and its user is held, so
that the next sweep does not correct them again. What is rolled back already stays as it is."""

ROLLBACK_MORE = """\
A correction is refused when the balance is not what it wrote any more, or a later one stands.

examples:
  reconcile rollback --audit 4711 --dry-run
  reconcile rollback --audit 4711 --reason "the deposit is disputed, ticket 12"
  reconcile rollback --run 03bef8e5-7928-4148-ac63-791ee825f527 --reason "wrong contract address"
  reconcile rollback --run 03bef8e5-7928-4148-ac63-791ee825f527 --reason "wrong contract" \\
      --yes --json

At a terminal it shows what would happen and asks: for a run, type the first 8 characters of its
id. Elsewhere it needs --yes.

exit codes:
  0    all of it is rolled back, or could be
  1    some or all was refused, or you declined
  2    stopped before its end, an error, or bad usage or settings"""

HOLD = """\
Keep corrections away from a user until somebody releases them. A sweep still compares them, and
tells when the balances differ; the app's own events go on."""

HOLD_MORE = """\
example:
  reconcile hold 0xf8d6e0586b0a20c7 --reason "the deposit is disputed, ticket 12" --admin alice"""

RELEASE = """\
Let corrections of a user go on: the next sweep looks at them as at everybody."""

RELEASE_MORE = """\
examples:
  reconcile release 0xf8d6e0586b0a20c7 --reason "settled, ticket 12" --admin alice
  reconcile holds --json | jq -r .userAddress | xargs -n1 reconcile release"""

HOLDS = """\
List who is held, by address: since when, by whom and why."""

HOLDS_MORE = """\
example:
  reconcile holds --json | jq -r 'select(.auditId) | .userAddress'   # held by a rollback"""

REPORT = """\
Write a report of a run, of a period or of a user as CSV, JSON or PDF. Exits 0 whatever it says."""

REPORT_MORE = """\
commands (each has --help):
  reconcile report run RUN|latest                       a run, and everyone who was not in sync
  reconcile report period --since DATE [--until DATE]   the runs and the audit rows of a time
  reconcile report user ADDRESS                         a user's balances and audit rows

The first page of a PDF answers whether ledger, contract and vault agree. It prints the SHA-256 of
the CSV with the same rows, as 'sha256sum' prints it of that file.

examples:
  reconcile report run latest --output run.pdf
  reconcile report period --since 2026-11-01 --until 2026-12-01 --format pdf"""

REPORT_RUN = """\
Write a run: what it found and did, and everyone who was not in sync."""

REPORT_RUN_MORE = """\
examples:
  reconcile report run latest --output run.pdf
  reconcile report run 6900f7a2-1c68-4b4d-a152-04c73fea725e --format json --output -"""

REPORT_PERIOD = """\
Write what was done in a time: the runs that started in it, the audit rows that the reconciler
wrote, and what all audit rows of it add up to, the app's too."""

REPORT_PERIOD_MORE = """\
A date is its first moment in UTC, so a month ends with the first day of the next one.

examples:
  reconcile report period --since 2026-11-01 --until 2026-12-01 --format pdf
  reconcile report period --since 2026-11-23T12:00:00Z --format csv --output -"""

REPORT_USER = """\
Write a user: both balances now, read at a named height, and all audit rows, the newest first."""

REPORT_USER_MORE = """\
examples:
  reconcile report user 0x0000000000000005 --format pdf
  reconcile report user 0x0000000000000005 --output history.csv"""

KEYS = """\
Keys for callers of the HTTP functions, which know a key by its hash alone: it is in their setting
RECONCILE_API_KEYS, name:role:hash, separated by commas."""

KEYS_MORE = """\
commands:
  reconcile keys new NAME     make a key

To change a key without a gap, make another of the same name and role, deploy both, then remove the
old one. To withdraw a key, remove it from the setting and deploy.

example:
  reconcile keys new alice --role admin"""

NEW_KEY = """\
Make a key, and print it this once with the line for RECONCILE_API_KEYS. Nothing is stored."""

NEW_KEY_MORE = """\
roles:
  viewer    reads reports
  admin     corrects balances, in its own name
  delegate  corrects balances, in the name of others too: the audit row has both

examples:
  reconcile keys new alice --role admin
  reconcile keys new dashboard --json | jq -r .setting"""
