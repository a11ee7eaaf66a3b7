"""`reconcile verify-audit`."""

import json
import sys
from collections.abc import Iterator

from shared.cli import exit_code
from shared.cli.commands import VerifyAudit
from shared.cli.interrupt import Interrupt
from shared.cli.output import print_lines, writing
from shared.cli.printable import printable
from shared.cli.progress import ProgressBar
from shared.cli.render_plain import aligned
from shared.cli.services import VerifyingAudit
from shared.core.audit_alert import audit_sentence, fault_place
from shared.core.audit_chain import AuditVerification


def verify_audit(command: VerifyAudit, verifier: VerifyingAudit, interrupt: Interrupt) -> int:
    """Look through the audit log, and print what was found."""
    found = _found(command, verifier, interrupt)
    with writing():
        if command.as_json:
            print_lines([json.dumps({"type": "auditVerification", **found.as_json()})])
        print_lines(_lines(found), sys.stderr if command.as_json else sys.stdout)
    return exit_code.FINE if found.is_whole and found.is_complete else exit_code.FAILED


def _found(
    command: VerifyAudit, verifier: VerifyingAudit, interrupt: Interrupt
) -> AuditVerification:
    if command.user is not None:
        return verifier.verify_user(
            command.user, until=command.until, only_writer=command.only_writer
        )
    with ProgressBar() as bar:
        return verifier.verify(
            until=command.until,
            only_writer=command.only_writer,
            progress=lambda so_far: bar.update("verify", so_far.rows + so_far.adopted_rows, None),
            should_stop=interrupt.should_stop,
        )


def _lines(found: AuditVerification) -> Iterator[str]:
    yield _verdict(found)
    for fault in found.first_faults:
        yield printable(f"{fault.code}  {fault_place(fault)}: {fault.detail}")
    if found.faults > len(found.first_faults):
        yield f"… and {found.faults - len(found.first_faults):,} more"
    yield from aligned(_fields(found))


def _verdict(found: AuditVerification) -> str:
    word = "Whole" if found.is_whole else "Not whole"
    if not found.is_complete:
        return f"{word}, as far as it was looked at: {audit_sentence(found)}."
    return f"{word}: {audit_sentence(found)}."


def _fields(found: AuditVerification) -> list[tuple[str, str]]:
    fields = [("Users", f"{found.users:,}"), ("Rows", f"{found.rows:,}")]
    if found.adopted_rows:
        fields.append(("Adopted rows", f"{found.adopted_rows:,}"))
    fields.append(("Gaps", f"{found.gaps:,}{_judged(found, found.gaps)}"))
    named = ", ".join(found.first_unaudited)
    more = f", such as {named}" if named else ""
    fields.append(("Unaudited", f"{found.unaudited:,}{more}{_judged(found, found.unaudited)}"))
    if found.unanchored:
        fields.append(("Unanchored", f"{found.unanchored:,}"))
    if found.digest is not None:
        fields.append(("Digest", found.digest or _no_digest(found)))
        fields.append(("Until", f"{found.until.isoformat()}"))
    return fields


def _no_digest(found: AuditVerification) -> str:
    if not found.rows:
        return "none: there are no rows in a chain"
    return f"none: no row is older than {found.until.isoformat()}; give a later --until"


def _judged(found: AuditVerification, count: int) -> str:
    return "" if not count or found.only_writer else " (the app writes too)"
