"""`python -m tools.bench.unit_costs`: what each step of a sweep costs the database.

The contract is made up, so that a ledger of millions of rows is there in seconds. Prints Markdown;
docs/scaling.md reckons with these figures.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import psycopg

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.core.policy import Policy
from tools.bench.costs import Costs
from tools.bench.run_steps import Steps
from tools.stack import Stack, StackError, start_stack, stderr_progress
from tools.stack.progress import Progress


def main() -> int:
    """Returns 0 when everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.unit_costs", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--one-in", type=int, default=100, help="one user in so many differs")
    arguments = parser.parse_args()
    progress = stderr_progress()
    with tempfile.TemporaryDirectory(prefix="balance-reconciliation-costs-") as folder:
        try:
            with start_stack(Path(folder), progress=progress) as stack:
                report = measure_costs(
                    stack, arguments.users, arguments.batch, arguments.one_in, progress
                )
        except StackError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(report)
    return 0


def measure_costs(
    stack: Stack, users: int, batch_size: int, one_in: int, progress: Progress
) -> str:
    """Fill the ledger, which is empty, and take a run over it; the Markdown."""
    progress(f"Filling the ledger with {users:,} rows")
    _fill(stack, users)
    client = connect(
        url=stack.rest_url,
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.rest_url,
        timeout_s=60,
    )
    costs = Costs(stack)
    policy = Policy(batch_size=batch_size, settle_s=0)
    progress("Taking a run through its steps")
    Steps(SupabaseLedger(client), SupabaseRunStore(client), costs, policy).go(one_in)
    if client.options.httpx_client is not None:
        client.options.httpx_client.close()
    title = (
        f"{users:,} rows in the ledger, chunks of {batch_size:,}, one user in {one_in:,} differs"
    )
    return f"{title}; {_sizes(stack, users, batch_size)}\n\n{costs.markdown()}"


def _fill(stack: Stack, users: int) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            "insert into public.user_balances (user_address, balance)"
            " select '0x' || left(md5(number::text), 16), number * 0.00000123"
            " from generate_series(1, %s) as number",
            (users,),
        )
        connection.execute("vacuum (analyze) public.user_balances")


def _sizes(stack: Stack, users: int, batch_size: int) -> str:
    """Bytes a row, and how many blocks of 8 kB a page of the ledger touches."""
    with psycopg.connect(stack.database_url) as connection:
        row = connection.execute(
            "select pg_table_size(t), pg_indexes_size(t) from (select"
            " 'public.user_balances'::regclass as t) as ledger"
        ).fetchone()
        connection.execute("set enable_seqscan = off")
        plan = connection.execute(
            "explain (analyze, buffers, format json) select user_address, balance"
            " from public.user_balances order by user_address limit %s",
            (batch_size,),
        ).fetchone()
    assert row is not None
    assert plan is not None
    top = plan[0][0]["Plan"]
    blocks = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return (
        f"{row[0] / users:.0f} B of table and {row[1] / users:.0f} B of index a row,"
        f" a page of the ledger touches {blocks:,} blocks"
    )


if __name__ == "__main__":
    sys.exit(main())
