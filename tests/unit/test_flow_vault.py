"""Reading the vault script's answer, and whose fault a failure is."""

import json

import pytest
from grpclib import GRPCError, Status

from shared.adapters.flow_vault import (
    DEFAULT_VAULT_SCRIPT,
    decode_vault_balances,
    vault_error,
)
from shared.core.amount import UFIX64_MAX
from shared.core.errors import (
    ContractBadAnswer,
    ContractError,
    ContractFunctionMissing,
    ContractHeightUnavailable,
    ContractNotDeployed,
    ContractScriptFailed,
    ContractUnreachable,
)
from shared.core.solvency import VaultBalances


def answer(**texts: str) -> bytes:
    items = [
        {"key": {"type": "String", "value": name}, "value": {"type": "UFix64", "value": text}}
        for name, text in texts.items()
    ]
    return json.dumps({"type": "Dictionary", "value": items}).encode()


def test_both_balances_are_read_exactly_whatever_their_order() -> None:
    found = VaultBalances(vault_balance=UFIX64_MAX, contract_total=UFIX64_MAX)
    largest, one = "184467440737.09551615", "0.00000001"
    assert decode_vault_balances(answer(vaultBalance=largest, totalUserBalance=largest)) == found
    read = decode_vault_balances(
        answer(totalUserBalance=one, other="1.00000000", vaultBalance=largest)
    )
    assert (read.vault_balance, read.contract_total) == (2**64 - 1, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"type":"Array","value":[]}',
        b'{"type":"Dictionary","value":null}',
        b'{"type":"Dictionary","value":[{}]}',
        answer(),
        answer(vaultBalance="1.00000000"),
        answer(totalUserBalance="1.00000000"),
        answer(vaultBalance="1.5", totalUserBalance="1.00000000"),
        answer(vaultBalance="1.00000000", totalUserBalance="1.00000000").replace(
            b"UFix64", b"Fix64"
        ),
        b"\xff\xfe",
    ],
)
def test_anything_else_is_a_bad_answer_that_names_the_setting(body: bytes) -> None:
    with pytest.raises(ContractBadAnswer, match="FLOW_VAULT_SCRIPT"):
        decode_vault_balances(body)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (
            Status.INVALID_ARGUMENT,
            "error: value of type `&X` has no member `getVaultBalance`",
            ContractFunctionMissing,
        ),
        (Status.INVALID_ARGUMENT, "error: panic: no vault", ContractScriptFailed),
    ],
)
def test_a_fault_of_the_script_names_its_setting(
    status: Status, message: str, kind: type[ContractError]
) -> None:
    error = vault_error(GRPCError(status, message), "node:1")
    assert type(error) is kind
    assert "FLOW_VAULT_SCRIPT" in error.remedy
    assert "FLOW_BALANCE_SCRIPT" not in str(error)
    assert message.removeprefix("error: ") in error.fault


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GRPCError(Status.NOT_FOUND, "block not found"), ContractHeightUnavailable),
        (
            GRPCError(Status.INVALID_ARGUMENT, "error: cannot find declaration `X`"),
            ContractNotDeployed,
        ),
        (ConnectionRefusedError("refused"), ContractUnreachable),
    ],
)
def test_other_faults_are_those_of_every_script(
    error: Exception, kind: type[ContractError]
) -> None:
    found = vault_error(error, "node:1")
    assert type(found) is kind
    assert "SCRIPT" not in str(found)


def test_the_script_that_ships_is_there() -> None:
    assert "vaultBalance" in DEFAULT_VAULT_SCRIPT.read_text("utf-8")
