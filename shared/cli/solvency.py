"""`reconcile solvency`."""

import json
import sys
from collections.abc import Iterator

from shared.cli import exit_code
from shared.cli.commands import CheckSolvency
from shared.cli.output import print_lines, writing
from shared.cli.render_plain import aligned, signed, words
from shared.cli.services import CheckingSolvency
from shared.core.amount import ZERO, FlowAmount, format_amount
from shared.core.solvency import SolvencyCheck, SolvencyState
from shared.core.solvency_alert import solvency_sentence


def check_solvency(command: CheckSolvency, checker: CheckingSolvency) -> int:
    """Make a check, and print it."""
    check = checker.check(command.admin, on_wait=_say_that_we_wait)
    with writing():
        if command.as_json:
            print_lines([json.dumps({"type": "solvency", **check.as_json()})])
        print_lines(_lines(check), sys.stderr if command.as_json else sys.stdout)
    if check.state is SolvencyState.UNREADABLE:
        return exit_code.FAILED
    return exit_code.DIFFERENCES_REMAIN if check.is_mismatch else exit_code.FINE


def _say_that_we_wait(wait_s: float) -> None:
    if wait_s:
        print(f"They differ. Looking again in {wait_s:g} s.", file=sys.stderr, flush=True)


def _lines(check: SolvencyCheck) -> Iterator[str]:
    sentence = solvency_sentence(check)
    yield f"{words(check.state).capitalize()}: {sentence}."
    yield from aligned(_fields(check))


def _fields(check: SolvencyCheck) -> list[tuple[str, str]]:
    fields = []
    if check.state is not SolvencyState.UNREADABLE:
        fields = [
            ("Ledger", f"{_flow(check.ledger_total)} of {_users(check.ledger_users)}"),
            ("Vault", _flow(check.vault_balance)),
            ("Contract", _flow(check.contract_total)),
            ("Vault - ledger", _signed(check.difference)),
            ("Contract - ledger", _signed(check.contract_difference)),
            *_oddities(check),
            ("Height", str(check.block_height)),
        ]
    fields.append(("Since", f"{check.since:%Y-%m-%d %H:%M:%S} UTC"))
    if check.is_mismatch and not check.confirmed:
        fields.append(("Confirmed", "no: it was another difference each time it was looked at"))
    if check.audit_id is not None:
        fields.append(("Audit row", check.audit_id))
    if check.error_code is not None:
        fields.append(("Error", f"{check.error} [{check.error_code}]"))
    made = f"{check.checked_at:%Y-%m-%d %H:%M:%S} UTC by {check.admin_address}"
    return [*fields, ("Check", f"{check.check_id}, {made}")]


def _oddities(check: SolvencyCheck) -> Iterator[tuple[str, str]]:
    """What the ledger's sum does not show."""
    if check.negative_users:
        yield "  below zero", f"{_users(check.negative_users)}, {_signed(check.negative_total)}"
    if check.unusable_users:
        yield "  left out", f"{_users(check.unusable_users)} whose balance is no amount"
    if check.respelled_users:
        rows = (
            "1 row spells"
            if check.respelled_users == 1
            else f"{check.respelled_users:,} rows spell"
        )
        yield "  twice", f"{rows} an account that has another row"


def _users(number: int | None) -> str:
    return "1 user" if number == 1 else f"{number:,} users"


def _flow(units: FlowAmount | None) -> str:
    return f"{format_amount(units or ZERO)} FLOW"


def _signed(units: FlowAmount | None) -> str:
    return f"{signed(units or ZERO)} FLOW"
