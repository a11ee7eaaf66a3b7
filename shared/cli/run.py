"""Do what the command line asks and return the exit code."""

from shared.cli.alerts import list_alerts, try_alerts
from shared.cli.announcing import announcing
from shared.cli.commands import (
    CancelRun,
    CheckSolvency,
    Command,
    HoldUser,
    ListAlerts,
    ListHolds,
    ListRuns,
    NewKey,
    ReconcileUser,
    ReleaseUser,
    ReportPeriod,
    ReportRun,
    ReportUser,
    RollBackAudit,
    RollBackRun,
    ShowRun,
    Sweep,
    TryAlerts,
    VerifyAudit,
)
from shared.cli.csv_file import CsvFile
from shared.cli.history import cancel_run, list_runs, show_run
from shared.cli.holding import change_hold, list_holds
from shared.cli.interrupt import Interrupt
from shared.cli.keys import print_new_key
from shared.cli.one_user import reconcile_user
from shared.cli.reporting import make_report
from shared.cli.rolling_back import roll_back_audit, roll_back_run
from shared.cli.services import RollingBack, Services
from shared.cli.solvency import check_solvency
from shared.cli.sweeping import sweep
from shared.cli.verifying import verify_audit


def run(command: Command, services: Services | None = None) -> int:
    """Run to the end and return the exit code. Raises ReconcileError when nothing could be done."""
    if isinstance(command, NewKey):
        return print_new_key(command)
    if isinstance(command, ListAlerts):
        return list_alerts(command, (services or _services()).alerts)
    if isinstance(command, TryAlerts):
        return try_alerts(command, (services or _services()).alerter)
    if isinstance(command, CheckSolvency):
        return check_solvency(command, (services or _services()).solvency)
    if isinstance(command, VerifyAudit):
        with Interrupt() as interrupt:
            return verify_audit(command, (services or _services()).audit_verifier, interrupt)
    if isinstance(command, ListRuns):
        return list_runs(command, (services or _services()).runs)
    if isinstance(command, CancelRun):
        return cancel_run(command, (services or _services()).runs)
    if isinstance(command, HoldUser | ReleaseUser):
        return change_hold(command, (services or _services()).holds)
    if isinstance(command, ListHolds):
        return list_holds(command, (services or _services()).holds)
    if isinstance(command, RollBackAudit | RollBackRun):
        with Interrupt() as interrupt:
            return _roll_back(command, (services or _services()).rollbacks, interrupt)
    if isinstance(command, ReportRun | ReportPeriod | ReportUser):
        return make_report(command, (services or _services()).reports)
    csv = CsvFile(command.csv) if command.csv else None
    if isinstance(command, ShowRun):
        return show_run(command, (services or _services()).runs, csv)
    with Interrupt() as interrupt:  # before the services: they take a second to load
        services = services or _services()
        if isinstance(command, ReconcileUser):
            return reconcile_user(command, services.user_reconciler, csv)
        if isinstance(command, Sweep) and command.dry_run:
            return sweep(command, services.sweeper, csv, interrupt)
        with announcing(services.announcer):
            return sweep(command, services.sweeper, csv, interrupt)


def _roll_back(
    command: RollBackAudit | RollBackRun, rollbacks: RollingBack, interrupt: Interrupt
) -> int:
    if isinstance(command, RollBackRun):
        return roll_back_run(command, rollbacks, interrupt)
    return roll_back_audit(command, rollbacks, interrupt)


def _services() -> Services:
    from shared.bootstrap import services  # here, so that --help need not wait for the clients

    return services()
