"""docs/deploy.md names functions, settings, alarms and files that there are."""

import re
from pathlib import Path

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


def test_each_alarm_is_explained() -> None:
    alarms = (ROOT / "deploy" / "alarms.yml").read_text()
    names = set(re.findall(r"AlarmName: \S+-\$\{sls:stage\}-(\S+)", alarms))
    of_functions = {f"{name}-errors" for name in FUNCTIONS}
    assert of_functions < names
    for name in names - of_functions:
        assert f"| `{name}` " in TEXT, name
