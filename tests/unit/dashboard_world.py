"""The dashboard over a world in memory: real use cases, so that what a form does can be seen."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from shared.core.audit_row import AuditRow
from shared.core.policy import Policy
from shared.services.holds import HoldKeeper
from shared.services.rollback import Rollbacker
from shared.services.user_view import UserLookup
from tests.fakes.fake_audit_reader import FakeAuditReader
from tests.fakes.fake_clock import START
from tests.fakes.fake_holds import FakeHolds
from tests.fakes.fake_rollbacks import FakeRollbacks
from tests.fakes.fake_run_search import FakeRunSearch
from tests.fakes.fake_user_reader import FakeUserReader
from tests.unit.dashboard_client import FakeServices
from tests.unit.worlds import World

PAGE_CORRECTIONS = 2
"""Corrections of a run that are rolled back at once."""


class AuditOf:
    """The port `AuditReader` over the audit log of the world's ledger, a row a second."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        rows = [
            AuditRow(
                audit_id=row.id,
                user_address=row.user_address,
                operation_type=row.operation_type,
                amount=row.amount,
                balance_before=row.balance_before,
                balance_after=row.balance_after,
                transaction_hash=row.transaction_hash,
                created_at=START + timedelta(seconds=number),
                run_id=row.run_id,
                block_height=row.block_height,
                reason=row.reason,
                reverses_audit_id=row.reverses_audit_id,
            )
            for number, row in enumerate(self._world.ledger.audit)
        ]
        return getattr(FakeAuditReader(rows), name)


def services_of(world: World) -> FakeServices:
    """What bootstrap gives, over the world."""
    return FakeServices(
        clock=world.clock,
        runs=world.runs,
        run_search=FakeRunSearch(world.store),
        run_actions=world.run_actions,
        announcer=world.announcer,
        user_reconciler=world.user_reconciler,
        users=UserLookup(FakeUserReader(world.ledger), world.reader, world.clock, Policy()),
        audit=AuditOf(world),
        holds=HoldKeeper(FakeHolds(world.ledger, world.clock), world.retrying, world.clock),
        rollbacks=Rollbacker(
            FakeRollbacks(world.ledger, world.store, world.clock),
            world.clock,
            page_corrections=PAGE_CORRECTIONS,
        ),
        reports=SimpleNamespace(),
    )
