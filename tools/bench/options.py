"""How large a benchmark is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`naive_users`: the sample that the plain algorithm works on; it would take hours for all.

    `drift_ratio` of the users differ, evenly spread over the ledger's keys. `rounds` of floor,
    sweep and plain algorithm, one after the other, so that the machine's noise hits all three.
    """

    users: int = 100_000
    batch_size: int = 10_000
    drift_ratio: float = 0.01
    rounds: int = 3
    naive_users: int = 1_000
    single_users: int = 200
    scripts_per_s: float = 5.0
