"""Look through the audit log for rows that were altered, removed or slipped in."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.address import check_key, normal_form, spellings
from shared.core.audit_chain import (
    FAULTS_NAMED_MAX,
    USERS_NAMED_MAX,
    AuditCursor,
    AuditFault,
    AuditVerification,
    Phase,
)
from shared.ports.audit_chain import AdoptedPage, AuditChain
from shared.ports.clock import Clock
from shared.services.deadline import ShouldStop

Progress = Callable[[AuditVerification], None]

PAGE_ROWS = 10_000
"""A tenth of a second of work; the role that PostgREST uses may stop a statement after 8 s."""
SETTLED_S = 300.0
"""What is younger is left out of the digest: a transaction may yet commit that began before."""

_NEXT = {Phase.CHAINS: Phase.HEADS, Phase.HEADS: Phase.ASIDE, Phase.ASIDE: Phase.ADOPTED}


class AuditVerifier:
    """Reads pages; writes nothing, and locks nobody out."""

    def __init__(self, chain: AuditChain, clock: Clock, *, page_rows: int = PAGE_ROWS) -> None:
        self._chain = chain
        self._clock = clock
        self._page_rows = page_rows

    def verify(
        self,
        *,
        until: datetime | None = None,
        after: AuditCursor | None = None,
        unfinished: AuditVerification | None = None,
        only_writer: bool = False,
        progress: Progress = lambda so_far: None,
        should_stop: ShouldStop = lambda: False,
    ) -> AuditVerification:
        """Everything, or what is left `after` an earlier call; at least one page.

        `until`: what the digest is of, by default what was written until five minutes ago.
        `unfinished`: an earlier answer to go on with; what it found is in the new one.
        Raises LedgerError.
        """
        so_far = self._begin(until, after, only_writer)
        if unfinished is not None:
            so_far = replace(unfinished, only_writer=only_writer)
        while so_far.after is not None:
            so_far = self._step(so_far, so_far.after, user_address=None)
            progress(so_far)
            if should_stop():
                break
        return so_far

    def verify_user(
        self, user_address: str, *, until: datetime | None = None, only_writer: bool = False
    ) -> AuditVerification:
        """One user's chain. Every usual spelling of an address is looked at.

        Raises InvalidAddress, LedgerError.
        """
        given = check_key(user_address)
        keys = (given,) if normal_form(given) is None else spellings(given)
        so_far = self._begin(until, None, only_writer)
        for key in keys:
            cursor = AuditCursor(until=so_far.until, digest=so_far.digest or "")
            so_far = replace(so_far, after=cursor)
            while so_far.after is not None and so_far.after.phase is not Phase.ADOPTED:
                so_far = self._step(so_far, so_far.after, user_address=key)
        return replace(so_far, after=None)

    def _begin(
        self, until: datetime | None, after: AuditCursor | None, only_writer: bool
    ) -> AuditVerification:
        settled = self._clock.now() - timedelta(seconds=SETTLED_S)
        cursor = after or AuditCursor(until=until or settled)
        return AuditVerification(until=cursor.until, only_writer=only_writer, after=cursor)

    def _step(
        self, so_far: AuditVerification, cursor: AuditCursor, user_address: str | None
    ) -> AuditVerification:
        """One page more."""
        if cursor.phase is Phase.CHAINS:
            return self._chains(so_far, cursor, user_address)
        if cursor.phase is Phase.ADOPTED:
            return self._adopted(so_far, cursor)
        return self._heads(so_far, cursor, user_address)

    def _chains(
        self, so_far: AuditVerification, cursor: AuditCursor, user_address: str | None
    ) -> AuditVerification:
        last = None if cursor.key is None else (cursor.key, cursor.chain_no or 0)
        page = self._chain.check_chains(
            last,
            self._page_rows,
            user_address=user_address,
            until=cursor.until,
            digest=cursor.digest,
        )
        user, chain_no = page.through or (None, None)
        moved = replace(cursor, key=user, chain_no=chain_no, digest=page.digest)
        unaudited = (*so_far.first_unaudited, *page.first_unaudited)[:USERS_NAMED_MAX]
        return replace(
            _with_faults(so_far, page.faults, page.first_faults),
            rows=so_far.rows + page.rows,
            users=so_far.users + page.users,
            gaps=so_far.gaps + page.gaps,
            unaudited=so_far.unaudited + page.unaudited,
            first_unaudited=unaudited,
            unanchored=so_far.unanchored + page.unanchored,
            digest=page.digest if user is None else None,
            after=moved if user is not None else _next(moved),
        )

    def _heads(
        self, so_far: AuditVerification, cursor: AuditCursor, user_address: str | None
    ) -> AuditVerification:
        page = self._chain.check_heads(
            cursor.key,
            self._page_rows,
            user_address=user_address,
            aside=cursor.phase is Phase.ASIDE,
        )
        moved = replace(cursor, key=page.through)
        return replace(
            _with_faults(so_far, page.faults, page.first_faults),
            digest=cursor.digest,
            after=moved if page.through is not None else _next(moved),
        )

    def _adopted(self, so_far: AuditVerification, cursor: AuditCursor) -> AuditVerification:
        page = self._chain.check_adopted(cursor.key, self._page_rows, cursor.adopted_digest)
        rows = cursor.adopted_rows + page.rows
        inserted = [] if page.later_audit_id is None else [_inserted(page.later_audit_id)]
        faults = inserted if page.through is not None else [*inserted, *_altered(rows, page)]
        moved = replace(cursor, key=page.through, adopted_digest=page.digest, adopted_rows=rows)
        return replace(
            _with_faults(so_far, len(faults), faults),
            adopted_rows=so_far.adopted_rows + page.rows,
            digest=cursor.digest,
            after=moved if page.through is not None else None,
        )


def _next(cursor: AuditCursor) -> AuditCursor:
    return replace(cursor, phase=_NEXT[cursor.phase], key=None, chain_no=None)


def _with_faults(
    so_far: AuditVerification, faults: int, named: Iterable[AuditFault]
) -> AuditVerification:
    first = (*so_far.first_faults, *named)[:FAULTS_NAMED_MAX]
    return replace(so_far, faults=so_far.faults + faults, first_faults=first)


def _inserted(audit_id: str) -> AuditFault:
    return AuditFault(
        audit_id=audit_id,
        user_address=None,
        chain_no=None,
        code="row_inserted",
        detail="it is in no chain, and is younger than the chains",
    )


def _altered(rows: int, page: AdoptedPage) -> list[AuditFault]:
    if (rows, page.digest) == (page.adopted_rows, page.adopted_digest):
        return []
    was = "it is not known how many there were"
    if page.adopted_rows is not None:
        was = f"{rows:,} are there, {page.adopted_rows:,} were adopted"
    if rows == page.adopted_rows:
        was += ", and they are not the same"
    return [
        AuditFault(
            audit_id=None,
            user_address=None,
            chain_no=None,
            code="adopted_rows_altered",
            detail=was,
        )
    ]
