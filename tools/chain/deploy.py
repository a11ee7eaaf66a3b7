"""Puts the project's contract on an emulator."""

from tools.chain.client import Chain
from tools.chain.sources import read_cadence

CONTRACT_NAME = "OverflowGame"


def deploy_overflow_game(access_node: str, service_address: str, private_key_hex: str) -> str:
    """Deploys OverflowGame to the account given and returns its address, 0x and 16 hex digits.

    May be called again: the same code is left alone, other code updates the contract and keeps its
    balances. Raises `ChainTransactionError` when the code does not fit the account or the contract
    that is there.
    """
    with Chain(access_node, service_address, private_key_hex) as chain:
        deploy_contract(chain, CONTRACT_NAME, read_cadence("contracts/OverflowGame.cdc"))
        return chain.address


def deploy_contract(chain: Chain, name: str, code: str) -> None:
    """Deploys, updates or leaves alone a contract in the chain's account."""
    present = chain.contract_code(name)
    if present is None:
        chain.deploy_contract(name, code)
    elif present != code:
        chain.update_contract(name, code)
