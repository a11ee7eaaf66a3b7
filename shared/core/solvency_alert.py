"""What people are told of a solvency check: one sentence, the sums, and what to do first."""

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.amount import ZERO, FlowAmount, format_amount
from shared.core.outcome import iso_utc
from shared.core.solvency import SolvencyCheck, SolvencyState

_REMEDIES = {
    SolvencyState.CONTRACT_SHORT: "Stop withdrawals and find out who took FLOW out of the vault, "
    "or which contract this is: no sweep can mend it.",
    SolvencyState.DEFICIT: "Look at a dry run (reconcile --all --dry-run): a ledger that has too "
    "much is corrected by a sweep.",
    SolvencyState.SURPLUS: "Look at a dry run (reconcile --all --dry-run): it shows whose deposits "
    "the ledger lacks. If it finds nobody, somebody put FLOW into the vault that no user owns.",
    SolvencyState.CONTRACT_MISMATCH: "Look at a dry run (reconcile --all --dry-run): a ledger that "
    "has too much is corrected by a sweep.",
}


def solvency_sentence(check: SolvencyCheck) -> str:
    """What the check has found, in one sentence with the amount, without a full stop."""
    gap = format_amount(solvency_gap(check))
    match check.state:
        case SolvencyState.SOLVENT:
            return "the ledger, the vault and the contract agree"
        case SolvencyState.CONTRACT_SHORT:
            return f"the vault holds {gap} FLOW less than the contract owes its users"
        case SolvencyState.DEFICIT:
            return f"the vault holds {gap} FLOW less than the ledger promises"
        case SolvencyState.SURPLUS:
            return f"the vault holds {gap} FLOW more than the ledger promises"
        case SolvencyState.CONTRACT_MISMATCH:
            return f"the vault covers the ledger, and the contract owes {gap} FLOW less"
        case SolvencyState.UNREADABLE:
            return f"the sums could not be read ({check.error_code})"


def solvency_gap(check: SolvencyCheck) -> FlowAmount:
    """The amount that the state is about, never below zero, in units of 1e-8 FLOW."""
    vault, contract = check.vault_balance, check.contract_total
    if check.state is SolvencyState.CONTRACT_SHORT and vault is not None and contract is not None:
        return FlowAmount(contract - vault)
    is_contracts = check.state is SolvencyState.CONTRACT_MISMATCH
    difference = check.contract_difference if is_contracts else check.difference
    return FlowAmount(abs(difference or ZERO))


def mismatch_alert(check: SolvencyCheck) -> Alert:
    """Of a confirmed mismatch. Told again when the state changes, or the amount has another number
    of digits: a hole that grows is news, one that moves a little is not."""
    sentence = solvency_sentence(check)
    return Alert(
        kind=AlertKind.SOLVENCY_MISMATCH,
        severity=(Severity.WARNING if check.state is SolvencyState.SURPLUS else Severity.CRITICAL),
        state=f"{check.state} of {len(str(solvency_gap(check)))} digits",
        summary=_sentence(f"{sentence}."),
        remedy=_REMEDIES[check.state],
        facts=_facts(check),
    )


def unreadable_alert(check: SolvencyCheck) -> Alert:
    """Of a check that could not be made: nothing is known to be missing."""
    return Alert(
        kind=AlertKind.SOLVENCY_UNREADABLE,
        severity=Severity.WARNING,
        state=str(check.error_code),
        summary="Whether the vault covers the ledger could not be checked. This is an outage, and "
        "says nothing of the money.",
        remedy=_sentence(check.error or "look at the log of solvency."),
        facts={"Error": str(check.error_code), "Since": iso_utc(check.since)},
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _facts(check: SolvencyCheck) -> dict[str, str]:
    amounts = {
        "Ledger": check.ledger_total,
        "Vault": check.vault_balance,
        "Contract": check.contract_total,
        "Vault − ledger": check.difference,
        "Contract − ledger": check.contract_difference,
    }
    facts = {name: f"{format_amount(units or ZERO)} FLOW" for name, units in amounts.items()}
    facts["Users"] = f"{check.ledger_users:,}"
    facts["Block height"] = str(check.block_height)
    facts["Since"] = iso_utc(check.since)
    facts["Audit row"] = check.audit_id or f"none ({check.error_code})"
    return facts
