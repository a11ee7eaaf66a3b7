"""The first page: are we whole, what is open, how drift went, what ran last."""

from collections.abc import Sequence

from flask import Response

from shared.core.outcome import Outcome
from shared.core.report import RunReport
from shared.core.run import Run, RunState
from shared.core.solvency import SolvencyCheck
from shared.core.verdict import VerdictState, verdict
from shared.dashboard.charts import Chart, DriftPoint, drift_chart
from shared.dashboard.pages.solvency import difference_chart
from shared.dashboard.routing import Routes
from shared.dashboard.standing import standing
from shared.dashboard.texts import short_id, signed_amount
from shared.dashboard.visit import Visit

routes = Routes()

CHART_RUNS = 40
SHOWN_RUNS = 8
CHART_CHECKS = 200

_TONES = {VerdictState.WHOLE: "good", VerdictState.UNKNOWN: "warn", VerdictState.NOT_WHOLE: "bad"}


@routes.get("/")
def overview_page(visit: Visit) -> Response:
    """Read it all, and begin with the answer."""
    services = visit.services
    runs = services.runs.list(limit=CHART_RUNS)
    checks = services.solvency.list(limit=CHART_CHECKS)
    covering = services.runs.covering()
    active = next((run for run in runs if run.is_active), None)
    return visit.page(
        "overview.html",
        verdict=_verdict(visit, runs, checks),
        alerts=services.alerts.list_alerts(open_only=True),
        runs=runs[:SHOWN_RUNS],
        active=active,
        active_standing=active and standing(active),
        has_halted=any(run.state is RunState.HALTED for run in runs),
        covering=covering,
        check=checks[0] if checks else None,
        drift=_drift(runs),
        difference=difference_chart(checks),
    )


def judged_run(runs: Sequence[Run]) -> Run | None:
    """The newest run that has ended and looked at users: what the first line goes by."""
    ended = (run for run in runs if not run.is_active and run.scanned_at is not None)
    return next(ended, None)


def _verdict(
    visit: Visit, runs: Sequence[Run], checks: Sequence[SolvencyCheck]
) -> dict[str, object]:
    """Sentence, the run that it goes by, and tone."""
    run = judged_run(runs)
    if run is None:
        return {
            "tone": "warn",
            "text": "Not known: no run has looked at the ledger yet.",
            "run": None,
        }
    report = RunReport(
        made_at=visit.now,
        made_by=visit.admin,
        run=run,
        rows=(),
        solvency=checks[0] if checks else None,
        rolled_back=0 if run.dry_run else visit.services.run_search.count_rolled_back(run.run_id),
    )
    found = verdict(report)
    return {"tone": _TONES[found.state], "text": found.text, "run": run}


def _drift(runs: Sequence[Run]) -> Chart | None:
    """What the last runs found, before anything was corrected; None when there is no run."""
    seen = [run for run in reversed(runs) if run.scanned_at is not None]
    if not seen:
        return None
    points = [
        DriftPoint(
            run.started_at,
            _name(run),
            run.surplus,
            run.deficit,
            to_scale=run.state is not RunState.HALTED,
        )
        for run in seen
    ]
    last = points[-1]
    return drift_chart(
        points,
        f"Drift that the last {len(points)} runs found. The last one: surplus"
        f" {signed_amount(last.surplus)}, deficit {signed_amount(last.deficit)} FLOW.",
    )


def _name(run: Run) -> str:
    halted = ", halted" if run.state is RunState.HALTED else ""
    corrected = run.count(Outcome.CORRECTED)
    return f"Run {short_id(run.run_id)}{halted}, {run.candidates:,} differ, {corrected:,} corrected"
