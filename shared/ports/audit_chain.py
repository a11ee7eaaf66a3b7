"""The audit log's chains of hashes, to be looked through a page at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.audit_chain import AuditFault


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPage:
    """`through`: user and place of the page's last row, None when there is no more.

    `users`: whose last row was on the page; the other counts as in AuditVerification.
    """

    rows: int
    users: int
    through: tuple[str, int] | None
    faults: int
    first_faults: tuple[AuditFault, ...]
    gaps: int
    unaudited: int
    first_unaudited: tuple[str, ...]
    unanchored: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPage:
    """`through`: the page's last user, None when there is no more."""

    heads: int
    through: str | None
    faults: int
    first_faults: tuple[AuditFault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedPage:
    """`through`: the page's last audit id, None when there is no more.

    `adopted_rows` and `adopted_digest`: how many rows there were when the chain began, and their
    digest; None when the database does not say. `later_audit_id`: the first row of the page that is
    younger than that.
    """

    rows: int
    through: str | None
    digest: str
    adopted_rows: int | None
    adopted_digest: str | None
    later_audit_id: str | None


class AuditChain(Protocol):
    """Every page is of one moment. All may raise LedgerError; digests are hex, '' to begin with."""

    def check_chains(
        self,
        after: tuple[str, int] | None,
        rows: int,
        *,
        user_address: str | None,
        until: datetime,
        digest: str,
    ) -> ChainPage:
        """The next `rows` rows by user and place, of one user or of all."""

    def check_heads(
        self, after: str | None, users: int, *, user_address: str | None, aside: bool
    ) -> HeadPage:
        """The heads of the next `users` users; `aside`: those beside the ledger."""

    def check_adopted(self, after: str | None, rows: int, digest: str) -> AdoptedPage:
        """The next `rows` rows from before the chain, by id."""
