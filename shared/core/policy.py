"""The numbers an operator decides on, in one value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.core.amount import SMALLEST, FlowAmount, format_amount, parse_amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a sweep compares, batches and stops itself.

    `tolerance` in units of 1e-8 FLOW; in sync means |discrepancy| < tolerance.
    `halt_share` of users that may differ (0 to 1), judged from `halt_min_users` users on;
    `halt_unread_share` of users whose balance could not be read.
    `settle_s`: seconds that a difference must have lasted before it is corrected.
    """

    tolerance: FlowAmount = SMALLEST
    batch_size: int = 10_000
    settle_s: float = 30.0
    halt_share: float = 0.5
    halt_min_users: int = 100
    halt_unread_share: float = 0.1

    def as_json(self) -> dict[str, Any]:
        """The form in which a run keeps it; `tolerance` is a decimal string."""
        return asdict(self) | {"tolerance": format_amount(self.tolerance)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Policy":
        """Read back what `as_json` wrote."""
        return cls(**dict(stored) | {"tolerance": parse_amount(stored["tolerance"])})
