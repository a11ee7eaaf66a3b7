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
  0    everyone is in sync or was corrected
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
