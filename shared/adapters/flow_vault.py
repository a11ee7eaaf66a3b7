"""The escrow vault behind the port `Vault`, through flow-py-sdk."""

import json
from pathlib import Path

from grpclib import GRPCError

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_contract import decode_ufix64
from shared.adapters.flow_errors import contract_error, script_fault
from shared.core.errors import (
    ContractBadAnswer,
    ContractError,
    ContractFunctionMissing,
    ContractLimitExceeded,
    ContractScriptFailed,
    ContractScriptInvalid,
)
from shared.core.solvency import VaultBalances
from shared.ports.contract import Pace

DEFAULT_VAULT_SCRIPT = Path(__file__).parents[2] / "cadence" / "scripts" / "get_vault_balance.cdc"
_REMEDY = (
    "FLOW_VAULT_SCRIPT must be `access(all) fun main(): {String: UFix64}` with vaultBalance and "
    "totalUserBalance of this contract."
)
_OF_THE_SCRIPT = (
    ContractFunctionMissing,
    ContractScriptInvalid,
    ContractScriptFailed,
    ContractLimitExceeded,
)


class FlowVault:
    """Asks one access node. Implements the port `Vault`."""

    def __init__(self, channel: FlowChannel, pace: Pace, *, script: str) -> None:
        """`script` is rendered Cadence: () → {String: UFix64}."""
        self._channel = channel
        self._pace = pace
        self._script = script.encode()

    def balances_at(self, block_height: int) -> VaultBalances:
        self._pace.wait()
        answer = self._channel.call(
            self._channel.access().execute_script_at_block_height(
                block_height=block_height, script=self._script, arguments=[]
            ),
            vault_error,
        )
        return decode_vault_balances(answer)


def decode_vault_balances(answer: bytes) -> VaultBalances:
    """Read a JSON-Cadence {String: UFix64} exactly. Raises ContractBadAnswer at anything else."""
    try:
        value = json.loads(answer)
        if value["type"] != "Dictionary":
            raise ValueError(value["type"])
        found = {item["key"]["value"]: decode_ufix64(item["value"]) for item in value["value"]}
        return VaultBalances(
            vault_balance=found["vaultBalance"], contract_total=found["totalUserBalance"]
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ContractBadAnswer(
            "the vault script did not answer with vaultBalance and totalUserBalance but "
            f"{answer[:80]!r}",
            remedy=_REMEDY,
        ) from error


def vault_error(error: Exception, access_node: str) -> ContractError:
    """Translate one of TRANSPORT_ERRORS; what is the script's fault names FLOW_VAULT_SCRIPT."""
    found = contract_error(error, access_node)
    if isinstance(found, _OF_THE_SCRIPT) and isinstance(error, GRPCError):
        fault = script_fault(error.message or "")
        return type(found)(f"the vault script failed: {fault}", remedy=_REMEDY)
    return found
