"""What a report's rows add up to, and their checksum: one reading of all rows."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.core.amount import ZERO, FlowAmount
from shared.core.audit_row import AuditRow
from shared.core.outcome import ReconciliationResult
from shared.core.report import Report
from shared.reports.csv_report import report_csv_lines


@dataclass(slots=True)
class Group:
    """Rows of one outcome or of one operation: how many, and the sums of the positive and of the
    negative discrepancies or amounts, in units of 1e-8 FLOW. `unsummed` rows have none."""

    rows: int = 0
    increase: FlowAmount = ZERO
    decrease: FlowAmount = ZERO
    unsummed: int = 0

    @property
    def net(self) -> FlowAmount:
        return FlowAmount(self.increase + self.decrease)

    def add(self, amount: FlowAmount | None) -> None:
        """Count one row."""
        self.rows += 1
        if amount is None:
            self.unsummed += 1
        elif amount > 0:
            self.increase = FlowAmount(self.increase + amount)
        else:
            self.decrease = FlowAmount(self.decrease + amount)


@dataclass(frozen=True, slots=True)
class Sums:
    """`sha256` is the checksum of the report's CSV file, as `sha256sum` prints it. `groups` are by
    outcome (a run's report) or by operation."""

    sha256: str
    groups: dict[str, Group] = field(default_factory=dict)


def sum_up(report: Report) -> Sums:
    """Reads all rows once for the sums and once for the checksum."""
    groups: dict[str, Group] = {}
    rows: Iterable[ReconciliationResult | AuditRow] = report.rows
    for row in rows:
        name, amount = _grouped(row)
        groups.setdefault(name, Group()).add(amount)
    return Sums(checksum(report_csv_lines(report)), groups)


def checksum(lines: Iterable[str]) -> str:
    """SHA-256 of a text's UTF-8, as 64 hex digits."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode(errors="backslashreplace"))
    return digest.hexdigest()


def _grouped(row: ReconciliationResult | AuditRow) -> tuple[str, FlowAmount | None]:
    if isinstance(row, AuditRow):
        return row.operation_type, row.amount
    return str(row.outcome), row.discrepancy
