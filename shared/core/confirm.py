"""The second look: who of those that differed still does, with an unmoved ledger row?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.core.compare import Candidate, Comparison, Failure, LedgerPage


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Every scanned candidate is in exactly one of these.

    `confirmed` and `held` carry the balances of the second reading; the others those of the scan.
    """

    confirmed: list[Candidate] = field(default_factory=list)
    transient: list[Candidate] = field(default_factory=list)
    changed_meanwhile: list[Candidate] = field(default_factory=list)
    held: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def confirm(scanned: Sequence[Candidate], page: LedgerPage, found: Comparison) -> Confirmation:
    """Sort scanned candidates by what a newer reading (`page` and its comparison) says of them.

    Agreeing now → transient; row gone, new or its balance moved since → changed_meanwhile;
    unreadable → failures; held since the scan → held; else confirmed, with the contract's newer
    balance.
    """
    unmoved = {(key, True) for key in page.user_addresses} | {(key, False) for key in page.absent}
    held = {candidate.user_address: candidate for candidate in found.held}
    differing = {candidate.user_address: candidate for candidate in found.candidates} | held
    failures = {failure.user_address: failure for failure in found.failures}
    confirmation = Confirmation()
    for before in scanned:
        key = before.user_address
        now = differing.get(key)
        if key in failures:
            confirmation.failures.append(Failure(key, failures[key].error, before.ledger_balance))
        elif (key, before.row_exists) not in unmoved or (
            now and now.ledger_balance != before.ledger_balance
        ):
            confirmation.changed_meanwhile.append(before)
        elif now is None:
            confirmation.transient.append(before)
        elif key in held:
            confirmation.held.append(now)
        else:
            confirmation.confirmed.append(now)
    return confirmation
