"""`reconcile rollback`: show what it would do, ask, do it, report."""

import json
import sys

from shared.cli import exit_code
from shared.cli.commands import RollBackAudit, RollBackRun
from shared.cli.interrupt import Interrupt
from shared.cli.output import print_lines, writing
from shared.cli.progress import ProgressBar
from shared.cli.question import somebody_to_ask, typed
from shared.cli.render_rollback import rollback_lines, run_rollback_lines
from shared.cli.services import RollingBack
from shared.core.errors import InvalidInput
from shared.core.rollback import Rollback, RollbackOutcome, RunRollback

ID_CHARS = 8
"""Of the run's id, to be typed before a run is rolled back."""


def roll_back_audit(command: RollBackAudit, rollbacks: RollingBack, interrupt: Interrupt) -> int:
    """One correction, after a look at what would happen to it."""
    audit_id, admin, reason = command.audit_id, command.admin, command.reason
    _require_answer(yes=command.yes, dry_run=command.dry_run)
    done = rollbacks.audit(audit_id, admin, reason, dry_run=True)
    if not command.dry_run and done.outcome is RollbackOutcome.WOULD_ROLL_BACK:
        if not command.yes:
            print_lines(rollback_lines(done), sys.stderr)
            if typed("Roll it back? [y/N] ", interrupt).lower() not in {"y", "yes"}:
                return _declined()
        done = rollbacks.audit(audit_id, admin, reason, dry_run=False)
    with writing():
        if command.as_json:
            print_lines([_json(done)])
        print_lines(rollback_lines(done), sys.stderr if command.as_json else sys.stdout)
    return exit_code.FINE if done.code is None else exit_code.DIFFERENCES_REMAIN


def roll_back_run(command: RollBackRun, rollbacks: RollingBack, interrupt: Interrupt) -> int:
    """All corrections of a run, after a look at what would happen to them."""
    _require_answer(yes=command.yes, dry_run=command.dry_run)
    with ProgressBar() as bar:
        done = rollbacks.run(
            command.run_id,
            command.admin,
            command.reason,
            dry_run=True,
            progress=lambda so_far: bar.update("preview", so_far.corrections, None),
            should_stop=interrupt.should_stop,
        )
        found = done.outcomes[RollbackOutcome.WOULD_ROLL_BACK]
        if not command.dry_run and done.complete:
            if found and not command.yes:
                bar.pause()
                print_lines(run_rollback_lines(done), sys.stderr)
                if not _confirmed(command, found, interrupt):
                    return _declined()
            total = done.corrections
            done = rollbacks.run(
                command.run_id,
                command.admin,
                command.reason,
                dry_run=False,
                progress=lambda so_far: bar.update("rollback", so_far.corrections, total),
                should_stop=interrupt.should_stop,
            )
    with writing():
        if command.as_json:
            print_lines([_json(done)])
        print_lines(run_rollback_lines(done), sys.stderr if command.as_json else sys.stdout)
    if not done.complete:
        return exit_code.FAILED
    refused = done.outcomes[RollbackOutcome.REFUSED]
    return exit_code.DIFFERENCES_REMAIN if refused else exit_code.FINE


def _require_answer(*, yes: bool, dry_run: bool) -> None:
    if not yes and not dry_run and not somebody_to_ask():
        raise InvalidInput(
            "a rollback is asked about first, and there is nobody at a terminal",
            remedy="Give --yes, or --dry-run to look only.",
        )


def _confirmed(command: RollBackRun, found: int, interrupt: Interrupt) -> bool:
    start = str(command.run_id)[:ID_CHARS]
    question = (
        f"Roll back {found:,} correction{'' if found == 1 else 's'} and hold their users? "
        f"Type {start} (the run) to go on: "
    )
    return typed(question, interrupt).lower() == start


def _declined() -> int:
    print("Declined: nothing was written.", file=sys.stderr)
    return exit_code.DIFFERENCES_REMAIN


def _json(done: Rollback | RunRollback) -> str:
    kind = "rollback" if isinstance(done, Rollback) else "run_rollback"
    return json.dumps({"type": kind, **done.as_json()})
