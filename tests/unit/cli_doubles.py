"""Doubles for tests of the command: services with prepared answers, terminals, people."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from shared.cli.services import Alerting, Announcing, RememberingAlerts
from shared.core.amount import FlowAmount
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import Run, RunState
from shared.core.sweep_result import SweepResult
from shared.services.sweep import SweepHooks
from tests.unit.not_asked_for import NotAskedFor
from tests.unit.runs import STARTED, run

ALICE = "0x0000000000000101"
O = Outcome  # noqa: E741
Answer = TypeVar("Answer")


def result(outcome: Outcome, user: str = ALICE, **changes: object) -> ReconciliationResult:
    """A user whose ledger says 1 and whose contract says 2.5 FLOW."""
    old, new = FlowAmount(100_000_000), FlowAmount(250_000_000)
    made = ReconciliationResult(
        user_address=user,
        outcome=outcome,
        timestamp=STARTED,
        old_balance=old,
        new_balance=new,
        discrepancy=FlowAmount(new - old),
        block_height=7,
    )
    if outcome is O.FAILED:
        made = made.having(
            new_balance=None, discrepancy=None, error="It broke. Mend it.", error_code="broken"
        )
    return made.having(**changes)


def swept(*outcomes: Outcome, **changes: object) -> SweepResult:
    """A finished run over these users, and three more who are in sync."""
    results = tuple(result(each, f"0x{n:016x}") for n, each in enumerate(outcomes, 256))
    return sweep_of(results, **changes)


def sweep_of(results: Sequence[ReconciliationResult], **changes: object) -> SweepResult:
    """A finished run with these results, and three more users who are in sync."""
    counts = {O.IN_SYNC: 3}
    for each in results:
        counts[each.outcome] = counts.get(each.outcome, 0) + 1
    fields: dict[str, object] = {
        "users": 3 + len(results),
        "outcomes": counts,
        "candidates": sum(each.discrepancy is not None for each in results),
        "deficit": FlowAmount(0),
    }
    return SweepResult(run(**{**fields, **changes}), results)


@dataclass
class FakeServices(NotAskedFor):
    """All use cases, with answers prepared; `calls` is what they were asked."""

    answer: SweepResult | ReconciliationResult | Exception
    during: Callable[[SweepHooks], None] = lambda hooks: None
    calls: list[tuple[object, ...]] = field(default_factory=list)
    wrote: bool = False
    announced: int = 0

    @property
    def user_reconciler(self) -> "FakeServices":
        return self

    @property
    def sweeper(self) -> "FakeServices":
        return self

    @property
    def runs(self) -> "FakeHistory":
        raise AssertionError("not what was asked for")

    @property
    def announcer(self) -> "FakeServices":
        return self

    def announce_quietly(self) -> None:
        self.announced += 1

    @property
    def alerter(self) -> Alerting:
        raise AssertionError("not what was asked for")

    @property
    def alerts(self) -> RememberingAlerts:
        raise AssertionError("not what was asked for")

    def reconcile(self, user_address: str, admin_address: str) -> ReconciliationResult:
        self.calls.append(("reconcile", user_address, admin_address))
        return self._answer_of(ReconciliationResult)

    def preview(self, user_address: str) -> ReconciliationResult:
        self.calls.append(("preview", user_address))
        return self._answer_of(ReconciliationResult)

    def sweep(
        self,
        admin_address: str,
        *,
        dry_run: bool,
        incremental: bool = False,
        accept_halt: str | None = None,
        hooks: SweepHooks | None = None,
    ) -> SweepResult:
        self.calls.append(("sweep", admin_address, dry_run, incremental, accept_halt))
        return self._swept(hooks, asks=not dry_run)

    def resume(self, *, hooks: SweepHooks | None = None) -> SweepResult:
        self.calls.append(("resume",))
        return self._swept(hooks, asks=True)

    def apply(
        self,
        run_id: UUID,
        admin_address: str,
        *,
        accept_halt: str | None = None,
        hooks: SweepHooks | None = None,
    ) -> SweepResult:
        self.calls.append(("apply", run_id, admin_address, accept_halt))
        return self._swept(hooks, asks=True)

    def _swept(self, hooks: SweepHooks | None, *, asks: bool) -> SweepResult:
        hooks = hooks or SweepHooks()
        hooks.progress("scan", 1, 3)
        self.during(hooks)
        answer: SweepResult = self._answer_of(SweepResult)
        if not asks:
            return answer
        found = run(candidates=2, deficit=FlowAmount(-1), halt=answer.summary.halt)
        self.wrote = hooks.may_write is None or hooks.may_write(found)
        if self.wrote:
            return answer
        return swept(O.WOULD_CORRECT, O.WOULD_CORRECT, state=RunState.DECLINED)

    def _answer_of(self, kind: type[Answer]) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, kind)
        return self.answer


@dataclass
class FakeHistory(NotAskedFor):
    """A run history with answers prepared; `calls` is what it was asked."""

    stored: list[Run] = field(default_factory=list)
    shown: SweepResult | Exception = field(default_factory=lambda: SweepResult(run()))
    cancelled: Run | Exception = field(default_factory=lambda: run(state=RunState.CANCELLED))
    calls: list[tuple[object, ...]] = field(default_factory=list)

    @property
    def runs(self) -> "FakeHistory":
        return self

    @property
    def user_reconciler(self) -> FakeServices:
        raise AssertionError("not what was asked for")

    @property
    def sweeper(self) -> FakeServices:
        raise AssertionError("not what was asked for")

    @property
    def announcer(self) -> Announcing:
        raise AssertionError("not what was asked for")

    @property
    def alerter(self) -> Alerting:
        raise AssertionError("not what was asked for")

    @property
    def alerts(self) -> RememberingAlerts:
        raise AssertionError("not what was asked for")

    def list(self, limit: int = 50, before: UUID | None = None) -> list[Run]:
        self.calls.append(("list", limit, before))
        return self.stored[:limit]

    def show(self, run_id: UUID) -> SweepResult:
        self.calls.append(("show", run_id))
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown

    def cancel(self, run_id: UUID) -> Run:
        self.calls.append(("cancel", run_id))
        if isinstance(self.cancelled, Exception):
            raise self.cancelled
        return self.cancelled


class Terminal(io.StringIO):
    """A stream that a person sits at."""

    def isatty(self) -> bool:
        return True


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
