"""docs/deploy.md names functions, settings, alarms and files that there are."""

import re
from pathlib import Path

from shared.observe.metrics import COUNTERS, Metric
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deploy.md").read_text()
FUNCTIONS = {path.stem for path in (ROOT / "functions").glob("*.py")} - {"__init__"}


def test_each_setting_is_one() -> None:
    named = set(re.findall(r"\b(?:SUPABASE|FLOW|RECONCILE)_[A-Z_]+[A-Z]\b", TEXT))
    assert len(named) > 10
    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_each_function_is_told_of() -> None:
    table = set(re.findall(r"^\| `(\w+)` +\|", TEXT, re.MULTILINE))
    assert table == FUNCTIONS


def test_each_http_function_is_deployed_to_google_by_its_name() -> None:
    assert set(re.findall(r"^deploy (\w+) ", TEXT, re.MULTILINE)) == FUNCTIONS - {"sweep_chunk"}


def test_each_link_leads_to_a_file() -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)
    assert targets
    for target in targets:
        assert (ROOT / "docs" / target).exists(), target


def test_the_cost_is_reckoned_with_the_alarms_and_metrics_that_there_are() -> None:
    alarms = (ROOT / "deploy" / "alarms.yml").read_text().count("Type: AWS::CloudWatch::Alarm")
    assert re.search(rf"^\| alarms +\| {alarms} × \$0\.10 +\| +\${alarms * 0.1:.2f} \|", TEXT, re.M)
    each = len(COUNTERS) + 1  # and DurationMs
    others = len(Metric) - each + 2  # and those of runs once more, by stage alone
    count = each * len(FUNCTIONS) + others
    reckoned = f"up to {count} ({each} for each of {len(FUNCTIONS)} functions, {others} others)"
    assert re.search(rf"{re.escape(reckoned)} × \$0\.30 +\| +\${count * 0.3:.2f} \|", TEXT)


def test_each_alarm_is_explained() -> None:
    alarms = (ROOT / "deploy" / "alarms.yml").read_text()
    names = set(re.findall(r"AlarmName: \S+-\$\{sls:stage\}-(\S+)", alarms))
    of_functions = {f"{name}-errors" for name in FUNCTIONS}
    assert of_functions < names
    for name in names - of_functions:
        assert f"| `{name}` " in TEXT, name
