"""`make demo`: drift on a real ledger and a real contract, found and corrected by the command.

Starts a throw-away stack, gives USERS users balances in the contract, writes a ledger that has
drifted from it, and then runs `reconcile` as a person would. Ends what it started. The reports of
the run that corrected stay in out/. Exit 1 when anything did not come out as it should.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from shared.core.amount import FlowAmount, format_amount
from tools.chain import Chain
from tools.chain.seed import seed_balances
from tools.stack import Stack, StackError, start_stack, stderr_progress

USERS = 2_000
OUT = Path(__file__).parents[1] / "out"

# What apps do wrong, in units of 1e-8 FLOW that the ledger is off by, for each 200th user or so.
DRIFT = {
    "a deposit event was lost": -500_000_000,
    "an event was replayed": 1_250_000_000,
    "somebody edited the row": 99_999_999,
    "a sum went through a float": -1,
}


def main() -> int:
    """Run the demo; returns the exit code."""
    progress = stderr_progress()
    with tempfile.TemporaryDirectory(prefix="balance-reconciliation-demo-") as folder:
        try:
            with start_stack(Path(folder), progress=progress) as stack:
                return _show(stack)
        except StackError as error:
            print(f"make demo: {error}", file=sys.stderr)
            return 1


def _show(stack: Stack) -> int:
    contract = {f"0x{0xDE00 + number:016x}": 100_000_000 * number + 7 for number in range(USERS)}
    ledger = _drifted(contract)
    drifted = sum(ledger[address] != units for address, units in contract.items())

    _say(f"The contract holds the balances of {USERS:,} users; the ledger is off for {drifted}:")
    _say("".join(f"  {why}: {_flow(units)} FLOW each\n" for why, units in DRIFT.items()).rstrip())
    _fill_contract(stack, contract)
    _fill_ledger(stack, ledger)

    steps = [
        ("What would a sweep change? A dry run writes nothing.", ["--all", "--dry-run"], 1),
        (
            "Correct the ledger, with an audit row for each user.",
            ["--all", "--yes", "--admin", "demo"],
            0,
        ),
        ("Does the vault cover what the ledger promises?", ["solvency"], 0),
        *_report_steps(),
        ("A second sweep finds nothing.", ["--all"], 0),
    ]
    for title, arguments, expected in steps:
        if not _reconcile(stack, title, arguments, expected):
            return 1
    return _verify(stack, contract, drifted)


def _report_steps() -> list[tuple[str, list[str], int]]:
    """Reports of the run that corrected, which outlive the stack."""
    OUT.mkdir(exist_ok=True)
    titles = {
        "pdf": "A report of that run, to be read: its first page answers.",
        "csv": "The same as a table; the PDF prints its SHA-256.",
    }
    return [
        (title, ["report", "run", "latest", "--output", f"{OUT.name}/run.{ending}"], 0)
        for ending, title in titles.items()
    ]


def _drifted(contract: dict[str, int]) -> dict[str, int]:
    ledger = dict(contract)
    for number, off in enumerate(DRIFT.values()):
        for address in list(contract)[20 + number :: 400]:
            ledger[address] += off
    return ledger


def _fill_contract(stack: Stack, contract: dict[str, int]) -> None:
    env = stack.env
    account = env["STACK_SERVICE_ADDRESS"], env["STACK_SERVICE_PRIVATE_KEY"]
    with Chain(env["FLOW_ACCESS_NODE"], *account) as chain:
        seed_balances(chain, contract)


def _fill_ledger(stack: Stack, ledger: dict[str, int]) -> None:
    with psycopg.connect(stack.database_url) as connection, connection.cursor() as cursor:
        columns = "copy public.user_balances (user_address, balance) from stdin"
        with cursor.copy(columns) as copy:
            for address, units in ledger.items():
                copy.write_row((address, _flow(units)))


def _reconcile(stack: Stack, title: str, arguments: list[str], expected: int) -> bool:
    _say(f"\n{title}\n$ reconcile {' '.join(arguments)}")
    command = [sys.executable, "-m", "shared.cli", *arguments]
    env = {**os.environ, **stack.env}
    code = subprocess.run(command, env=env, cwd=OUT.parent, check=False).returncode
    if code != expected:
        print(f"make demo: reconcile ended with {code}, not {expected}", file=sys.stderr)
    return code == expected


def _verify(stack: Stack, contract: dict[str, int], drifted: int) -> int:
    """Look into the database itself: the ledger is the contract's, each correction is audited."""
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute("select user_address, balance::text from public.user_balances")
        ledger: dict[str, str] = dict(rows.fetchall())
        audited = connection.execute(
            "select count(*) from public.balance_audit_log"
            " where transaction_hash = 'reconciliation_by_demo'"
        ).fetchone()
    wrong = [address for address, units in contract.items() if ledger[address] != _flow(units)]
    if wrong or audited != (drifted,):
        print(f"make demo: {len(wrong)} users still differ; audit rows: {audited}", file=sys.stderr)
        return 1
    _say(f"\nIn the database: all {len(ledger):,} users agree, with {drifted} audit rows.")
    return 0


def _flow(units: int) -> str:
    return format_amount(FlowAmount(units))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
