"""What people are told when the audit log is not as it was written."""

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.audit_chain import AuditFault, AuditVerification

_NAMED_MAX = 5


def audit_sentence(found: AuditVerification) -> str:
    """What a verification has found, in one sentence."""
    looked_at = _number(found.rows + found.adopted_rows, "audit row")
    if found.faults:
        return f"{_number(found.faults, 'fault')} in {looked_at} of {_number(found.users, 'user')}"
    if not found.is_whole:
        return f"{looked_at} are as they were written, but the ledger was changed beside them"
    return f"{looked_at} of {_number(found.users, 'user')} are as they were written"


def audit_alert(found: AuditVerification) -> Alert | None:
    """None when nothing is wrong."""
    if found.is_whole:
        return None
    return Alert(
        kind=AlertKind.AUDIT_BROKEN,
        severity=Severity.CRITICAL,
        state=_state(found),
        summary=f"The audit log cannot be trusted: {audit_sentence(found)}",
        remedy="Keep the database as it is, find out who had access to it, and compare the rows "
        "with a backup. `reconcile verify-audit` names the first of them.",
        facts=_facts(found),
    )


def fault_place(fault: AuditFault) -> str:
    """Which row is meant."""
    if fault.user_address is None:
        return (
            "the rows from before the chain" if fault.audit_id is None else f"row {fault.audit_id}"
        )
    row = "" if fault.audit_id is None else f" (audit row {fault.audit_id})"
    return f"{fault.user_address} row {fault.chain_no}{row}"


def _state(found: AuditVerification) -> str:
    # Counts and the first faults: more of them are news, the same ones tomorrow are not.
    first = [f"{each.code}@{fault_place(each)}" for each in found.first_faults[:_NAMED_MAX]]
    counts = [found.faults, found.gaps, found.unaudited] if found.only_writer else [found.faults]
    return " ".join([*map(str, counts), *first])


def _facts(found: AuditVerification) -> dict[str, str]:
    facts = {"Rows looked at": f"{found.rows + found.adopted_rows:,}"}
    for number, fault in enumerate(found.first_faults[:_NAMED_MAX], 1):
        facts[f"Fault {number}"] = f"{fault.code}: {fault_place(fault)}: {fault.detail}"
    if found.unexplained:
        facts["Balances without an audit row"] = f"{found.gaps + found.unaudited:,}"
    return facts


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
