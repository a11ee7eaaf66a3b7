"""Do what the command line asks and return the exit code."""

from shared.cli.commands import CancelRun, Command, ListRuns, NewKey, ReconcileUser, ShowRun
from shared.cli.csv_file import CsvFile
from shared.cli.history import cancel_run, list_runs, show_run
from shared.cli.interrupt import Interrupt
from shared.cli.keys import print_new_key
from shared.cli.one_user import reconcile_user
from shared.cli.services import Services
from shared.cli.sweeping import sweep


def run(command: Command, services: Services | None = None) -> int:
    """Run to the end and return the exit code. Raises ReconcileError when nothing could be done."""
    if isinstance(command, NewKey):
        return print_new_key(command)
    if isinstance(command, ListRuns):
        return list_runs(command, (services or _services()).runs)
    if isinstance(command, CancelRun):
        return cancel_run(command, (services or _services()).runs)
    csv = CsvFile(command.csv) if command.csv else None
    if isinstance(command, ShowRun):
        return show_run(command, (services or _services()).runs, csv)
    with Interrupt() as interrupt:  # before the services: they take a second to load
        services = services or _services()
        if isinstance(command, ReconcileUser):
            return reconcile_user(command, services.user_reconciler, csv)
        return sweep(command, services.sweeper, csv, interrupt)


def _services() -> Services:
    from shared.bootstrap import services  # here, so that --help need not wait for the clients

    return services()
