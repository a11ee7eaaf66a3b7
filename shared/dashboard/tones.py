"""How states and outcomes are marked: good, to be looked at, bad. The word stands with it."""

from shared.core.alert import Severity
from shared.core.outcome import Outcome
from shared.core.run import RunState

TONES: dict[str, str] = {
    Outcome.IN_SYNC: "good",
    Outcome.CORRECTED: "good",
    Outcome.TRANSIENT: "good",
    Outcome.WOULD_CORRECT: "warn",
    Outcome.CHANGED_MEANWHILE: "warn",
    Outcome.FAILED: "bad",
    "held": "warn",
    RunState.FINISHED: "good",
    RunState.AWAITING_APPROVAL: "warn",
    RunState.HALTED: "bad",
    RunState.FAILED: "bad",
    Severity.WARNING: "warn",
    Severity.CRITICAL: "bad",
    "solvent": "good",
    "surplus": "warn",
    "deficit": "bad",
    "contract_mismatch": "bad",
    "unreadable": "warn",
}
"""By the name of the state; what is not here is neither good nor bad."""
