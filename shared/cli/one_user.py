"""`reconcile --user`."""

import sys

from shared.cli import exit_code
from shared.cli.commands import ReconcileUser
from shared.cli.csv_file import CsvFile
from shared.cli.output import print_lines, writing
from shared.cli.render_json import result_json
from shared.cli.render_plain import user_lines
from shared.cli.report import save, worst
from shared.cli.services import Reconciling


def reconcile_user(command: ReconcileUser, reconciler: Reconciling, csv: CsvFile | None) -> int:
    """Correct or look at one user, and print what became of them."""
    if command.dry_run:
        result = reconciler.preview(command.user)
    else:
        result = reconciler.reconcile(command.user, command.admin)
    unsaved = save(csv, [result])
    with writing():
        if command.as_json:
            print_lines([result_json(result)])
        print_lines(user_lines(result), sys.stderr if command.as_json else sys.stdout)
    return worst(exit_code.of_user(result), unsaved, as_json=command.as_json)
