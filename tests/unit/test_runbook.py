"""docs/runbook.md explains whatever an operator may be told, and nothing that there is no more."""

import ast
import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator, Set
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest
from postgrest.exceptions import APIError

import functions
import shared
from shared.adapters import supabase_errors
from shared.cli.arguments import parse
from shared.core.alert import AlertKind
from shared.core.errors import MOVED, InvalidInput, ReconcileError
from shared.settings import Settings

Kind = TypeVar("Kind")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
TEXT = (DOCS / "runbook.md").read_text()
MIGRATIONS = sorted((ROOT / "supabase" / "migrations").glob("*.sql"))
VALUES = {
    "RUN": "6900f7a2-1c68-4b4d-a152-04c73fea725e",
    "ADDRESS": "0x0000000000000005",
    "AUDIT": "4711",
}

_CODE = r"[a-z]+(?:_[a-z]+)+"
_SQL_CODES = (
    rf"\b(?:then|else)\s+'({_CODE})'",
    rf"'({_CODE})' as code",
    rf"(?:p_code =>|error_code :=)\s*'({_CODE})'",
    rf"_refused\(\s*'({_CODE})'",
    rf"\.refused\([^,']+,\s*'({_CODE})'",
    rf"fail_chunk\(\w+,\s*'({_CODE})'",
    rf"^\s+'({_CODE})',\n\s+'p_",  # a row of event_fault: its code, then what is wrong with p_…
    rf"^-- +({_CODE}) {{2,}}\S",  # the codes that a procedure's header lists
)


# -- what the runbook has ---------------------------------------------------------------------


def part(name: str) -> str:
    """What is below the heading of second order."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/runbook.md has no part {name}"
    return found[1]


def headings(text: str) -> list[str]:
    """Those that are one name; a group's is words, or begins with a capital."""
    return re.findall(r"^#{3,4} `?([a-z][\w-]*)`?$", text, re.MULTILINE)


def rows(text: str) -> list[str]:
    """The first cells of tables that are code."""
    return re.findall(r"^\| `([^`]+)` +\|", text, re.MULTILINE)


def assert_explained(there: Set[str], explained: list[str], what: str) -> None:
    twice = {name for name in explained if explained.count(name) > 1}
    assert not twice, f"docs/runbook.md explains {what} twice: {sorted(twice)}"
    missing = there - set(explained)
    assert not missing, f"docs/runbook.md does not explain {what}: {sorted(missing)}"
    gone = set(explained) - there
    assert not gone, f"docs/runbook.md explains {what} that there is no more: {sorted(gone)}"


# -- what there is ----------------------------------------------------------------------------


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not each.name.endswith("__main__"):  # that one runs the command
            yield importlib.import_module(each.name)


def subclasses(root: type[Kind]) -> Iterator[type[Kind]]:
    for each in root.__subclasses__():
        if each.__module__.partition(".")[0] in ("shared", "functions"):
            yield each
        yield from subclasses(each)


def error_codes() -> set[str]:
    """Of all errors that there are, wherever they are defined."""
    list(modules(shared))
    list(modules(functions))
    found = {each.code for each in subclasses(ReconcileError)}
    return found | {ReconcileError.code} | MOVED


def calls(name: str) -> Iterator[ast.Call]:
    for package in ("shared", "functions"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == name
                ):
                    yield node


def constants(call: ast.Call, place: int, keyword: str) -> set[str]:
    """The texts that an argument may be; what is only known later is some error's code."""
    given = [each.value for each in call.keywords if each.arg == keyword]
    given += call.args[place : place + 1]
    either = [[value.body, value.orelse] for value in given if isinstance(value, ast.IfExp)]
    return {
        node.value
        for node in sum(either, given)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def problem_codes() -> set[str]:
    return set().union(*(constants(each, 1, "code") for each in calls("Problem")))


def halt_reasons() -> set[str]:
    return set().union(*(constants(each, 0, "reason") for each in calls("Halt")))


def sql_codes() -> set[str]:
    """Those of the procedures, by where they stand; outcomes and states stand there as well."""
    list(modules(shared))
    values = {str(value) for each in subclasses(StrEnum) for value in each}
    found: set[str] = set()
    for path in MIGRATIONS:
        for pattern in _SQL_CODES:
            found.update(re.findall(pattern, path.read_text(), re.MULTILINE))
    return {code for code in found - values if not code.startswith("p_")}


def sqlstates() -> set[str]:
    ours = {state for path in MIGRATIONS for state in re.findall(r"\bBR\d{3}\b", path.read_text())}
    told_apart = (value for value in vars(supabase_errors).values() if isinstance(value, frozenset))
    return ours.union(*told_apart)


def alarm_names() -> set[str]:
    alarms = (ROOT / "deploy" / "alarms.yml").read_text()
    return set(re.findall(r"AlarmName: \S+-\$\{sls:stage\}-(\S+)", alarms))


# -- the one is the other ---------------------------------------------------------------------


def test_each_alert_is_explained_where_its_message_points_to() -> None:
    assert_explained({str(kind) for kind in AlertKind}, headings(part("Alerts")), "alerts")


def test_each_reason_of_the_safety_stop_is_explained() -> None:
    reasons = halt_reasons()
    assert len(reasons) >= 3
    assert_explained(reasons, rows(part("Alerts")), "reasons of the safety stop")


def test_each_alarm_is_explained() -> None:
    names = alarm_names()
    assert len(names) > 10
    text = part("Alarms")
    assert_explained(names, headings(text) + rows(text), "alarms")


def test_each_error_code_is_explained() -> None:
    tree, problems, procedures = error_codes(), problem_codes(), sql_codes()
    # Whoever moves what these are found by is to hear of it.
    assert {"internal_error", "ledger_timeout", "report_failed", "jwks_unreachable"} <= tree
    assert {"rate_limited", "form_refused", "webhook_in_flight"} <= problems
    assert {"invalid_delta", "stale_height", "chunk_gave_up", "not_a_correction"} <= procedures
    assert {"run_active", "balance_out_of_range", "row_missing"} <= procedures
    text = part("Error codes")
    assert_explained(tree | problems | procedures, headings(text) + rows(text), "error codes")


def test_each_sqlstate_is_explained() -> None:
    states = sqlstates()
    assert {"BR001", "BR005", "55P03", "PGRST202"} <= states
    assert_explained(states, rows(part("SQLSTATEs")), "SQLSTATEs")


def test_what_an_sqlstate_becomes_is_what_the_adapter_makes_of_it() -> None:
    told = dict(re.findall(r"^\| `([^`]+)` +\| `([^`]+)` +\|", part("SQLSTATEs"), re.MULTILINE))
    assert len(told) > 20
    for state, code in told.items():
        error = supabase_errors.ledger_error(APIError({"code": state, "message": "…"}))
        assert error.code == code, state


def commands() -> list[str]:
    """Every command line of ours in the text, with its placeholders filled in."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    found = [
        line.partition(" | ")[0]
        for language, block in blocks
        if not language
        for line in re.findall(r"^reconcile .*", block, re.MULTILINE)
    ]
    found += re.findall(r"`(reconcile\s[a-z-][^`]*)`", TEXT)
    filled = (re.sub(r"\$(\w+)", lambda name: VALUES[name[1]], command) for command in found)
    return [command.replace("NAME --role ROLE", "alice --role admin") for command in filled]


def words(command: str) -> list[str]:
    """Those after `reconcile`."""
    return shlex.split(command, comments=True)[1:]


@pytest.mark.parametrize("command", sorted({shlex.join(words(each)) for each in commands()}))
def test_each_command_is_one(command: str) -> None:
    try:
        assert parse(shlex.split(command))
    except InvalidInput as error:
        pytest.fail(f"docs/runbook.md has a command that is none, reconcile {command}: {error}")


def test_each_setting_is_one() -> None:
    named = set(re.findall(r"\b(?:SUPABASE|FLOW|RECONCILE)_[A-Z_]+[A-Z]\b", TEXT))
    unknown = {name for name in named if name.lower() not in Settings.model_fields}
    assert not unknown, f"docs/runbook.md names settings that are none: {sorted(unknown)}"


DOCUMENTS = [DOCS / "runbook.md", DOCS / "architecture.md", *sorted(DECISIONS.glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_each_link_leads_somewhere(document: Path) -> None:
    for target in links(document):
        file, _, anchor = target.partition("#")
        aim = (document.parent / file).resolve() if file else document
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim.read_text()), target


def test_each_decision_is_in_the_index() -> None:
    index = links(DECISIONS / "README.md")
    records = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    assert [target for target in index if target in records] == records


def links(document: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", document.read_text())


def test_each_file_and_procedure_that_the_architecture_names_is_there() -> None:
    text = (DOCS / "architecture.md").read_text()
    files = set(re.findall(r"`((?:tests|shared|tools|functions|docs|deploy)/[\w/]+\.\w+)`", text))
    files |= {f"shared/{name}" for name in re.findall(r"`(services/\w+\.py)`", text)}
    assert len(files) > 20
    assert {name for name in files if not (ROOT / name).exists()} == set()
    sql = "\n".join(path.read_text() for path in MIGRATIONS)
    there = set(re.findall(r"function public\.(\w+)\(", sql))
    verbs = "add|announce|apply|close|decide|get|hold|lease|list|observe|plan|reconcile|record"
    verbs += "|release|requeue|reserve|rollback|start|verify"
    named = set(re.findall(rf"\b(?:{verbs})_[a-z_]*[a-z]\b(?!\.|-|/)", text))
    for folder in ("shared/services", "functions"):
        named -= {path.stem for path in (ROOT / folder).glob("*.py")}
    assert len(named) > 15
    assert named - there == set()


def anchors(markdown: str) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    texts = (re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in texts}
