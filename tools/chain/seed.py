"""Gives many users balances in OverflowGame."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from tools.chain.client import Chain
from tools.chain.deploy import CONTRACT_NAME
from tools.chain.json_cadence import address, amounts_by_address, normal_address, ufix64
from tools.chain.sources import read_cadence

# With 100,000 users in the contract, 5,500 fit the 9,999 computation units of a transaction, 6,000
# do not. The limit on the bytes of events stops other accounts at some 1,900 users, but not the
# emulator's service account.
USERS_PER_TRANSACTION_MAX = 4_000
# With close to 1,000,000 in it, 4,000 exceed the limit: what is stored is larger.
USERS_PER_TRANSACTION_MAX_OF_MANY = 2_000
MANY_USERS = 250_000


def seed_balances(
    chain: Chain,
    units_by_address: Mapping[str, int],
    progress: Callable[[int, int], None] | None = None,
    *,
    users_per_transaction: int | None = None,
) -> None:
    """Adds to the balance of every user given, in the OverflowGame of the chain's own account.

    The account deposits the sum of its own FLOW for itself and settles it to the users, so that the
    escrow covers them as in a real game. Amounts are integers of 1e-8, zeros are left out, and the
    users need no accounts on the chain. `progress(done, total)` is called after every transaction.
    Raises `ChainTransactionError` when a transaction failed: its users got nothing, their sum stays
    in the account's own balance, and all others have theirs. ValueError when two keys are the same
    address.
    """
    units = _normal(units_by_address)
    if not units:
        return
    addresses = {CONTRACT_NAME: chain.address}
    deposit = read_cadence("transactions/deposit.cdc", addresses)
    settle = read_cadence("transactions/settle.cdc", addresses)
    total = len(units)
    size = users_per_transaction or _users_per_transaction(total)
    chain.send(deposit, [ufix64(sum(units.values())), address(chain.address)])
    # The deposit has credited the account itself already.
    units.pop(chain.address, None)
    balance_expected = _own_balance(chain) - sum(units.values())
    transaction_ids: list[str] = []
    done = total - len(units)
    for credits in _batches(units, size):
        debits = {chain.address: sum(credits.values())}
        args = [amounts_by_address(debits), amounts_by_address(credits)]
        transaction_ids.append(chain.submit(settle, args))
        done += len(credits)
        if progress is not None:
            progress(done, total)
    _require_success(chain, transaction_ids, balance_expected)


def _users_per_transaction(total: int) -> int:
    return USERS_PER_TRANSACTION_MAX_OF_MANY if total > MANY_USERS else USERS_PER_TRANSACTION_MAX


def _normal(units_by_address: Mapping[str, int]) -> dict[str, int]:
    units: dict[str, int] = {}
    for key, value in units_by_address.items():
        normal = normal_address(key)
        if normal in units:
            raise ValueError(f"the address {normal} is given twice")
        units[normal] = value
    return {key: value for key, value in units.items() if value}


def _require_success(chain: Chain, transaction_ids: Sequence[str], balance_expected: int) -> None:
    # A result with 4,000 events is slow to fetch: the last one tells that all are sealed, and the
    # balance whether each did what it should.
    for transaction_id in transaction_ids[-1:]:
        chain.result(transaction_id)
    if _own_balance(chain) != balance_expected:
        for transaction_id in transaction_ids:
            chain.result(transaction_id)


def _own_balance(chain: Chain) -> int:
    script = read_cadence("scripts/get_user_balance.cdc", {CONTRACT_NAME: chain.address})
    return int(chain.run_script(script, [address(chain.address)]))


def _batches(units_by_address: Mapping[str, int], size: int) -> Iterator[dict[str, int]]:
    items = iter(units_by_address.items())
    while batch := dict(islice(items, size)):
        yield batch
