"""Log lines of the functions: JSON, labelled, bounded, and free of secrets."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shared.core.errors import ContractUnreachable, InvocationFailed
from shared.core.outcome import Outcome
from shared.http.answers import json_response
from shared.observe.context import current, is_request_id, note_run
from shared.observe.invocation import observed
from shared.observe.json_logs import TEXT_CHARS_MAX, configure
from shared.observe.metrics import Metric
from shared.services.pipeline import ahead
from tests.unit.serving import SECRET, served

RUN = UUID("6f1c9a52-0d6b-4a57-9f0e-1f0a8f1c2d3e")
_log = logging.getLogger("shared.test")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    with served(monkeypatch):
        yield


class Stderr:
    """What has been written to it so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._captured.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Stderr:
    return Stderr(capsys)


@pytest.fixture
def on_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the handlers back that a function takes off there."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "sweep")
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = handlers


def lines(stream: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_its_labels(stderr: Stderr) -> None:
    with observed("sweep", "r-1"):
        note_run(RUN)
        _log.warning("a\n%s", "b")
    first, last = lines(stderr)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "WARNING",
        "message": "a\nb",
        "function": "sweep",
        "request_id": "r-1",
        "run_id": str(RUN),
    }
    assert last["message"] == "sweep ended"


def test_the_last_line_tells_how_it_went(stderr: Stderr) -> None:
    with observed("reconcile_user", "r-1") as invocation:
        invocation.status = 200
        invocation.count(Metric.USERS_CHECKED, 3)
        invocation.count_outcomes({Outcome.CORRECTED: 2, Outcome.IN_SYNC: 1, Outcome.FAILED: 0})
    [line] = lines(stderr)
    assert (line["status"], line["users_checked"]) == (200, 3)
    assert line["outcomes"] == {"corrected": 2, "in_sync": 1}
    assert line["duration_ms"] >= 0
    assert "error_code" not in line


@pytest.mark.parametrize(("status", "level"), [(200, "INFO"), (422, "INFO"), (503, "WARNING")])
def test_an_answer_of_5xx_is_a_warning(stderr: Stderr, status: int, level: str) -> None:
    with observed("sweep") as invocation:
        invocation.status = status
    assert [line["level"] for line in lines(stderr)] == [level]


def test_google_gets_the_level_under_its_own_name(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K_SERVICE", "sweep")
    configure()
    _log.error("no")
    assert lines(stderr)[0]["severity"] == "ERROR"


def test_outside_of_a_call_there_are_no_labels(stderr: Stderr) -> None:
    configure()
    _log.warning("alone")
    [line] = lines(stderr)
    assert line.keys() == {"time", "level", "message"}
    assert current() is None


def test_threads_of_a_pipeline_belong_to_the_call() -> None:
    def source() -> Iterator[object]:
        yield current()

    with observed("sweep", "r-1") as invocation:
        assert list(ahead(source())) == [invocation]  # type: ignore[arg-type]


def test_configuring_again_adds_no_second_line(stderr: Stderr) -> None:
    for _ in range(3):
        configure()
    _log.warning("once")
    assert len(lines(stderr)) == 1


def test_the_level_is_that_of_the_settings(stderr: Stderr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_LOG_LEVEL", "ERROR")
    configure()
    _log.warning("no")
    _log.error("yes")
    assert [line["message"] for line in lines(stderr)] == ["yes"]


def test_other_libraries_do_not_tell_every_request(stderr: Stderr) -> None:
    configure()
    logging.getLogger("httpx").info("HTTP Request: POST http://127.0.0.1/?apikey=1")
    logging.getLogger("httpx").warning("slow")
    assert [line["message"] for line in lines(stderr)] == ["slow"]


@pytest.mark.usefixtures("on_lambda")
def test_on_lambda_its_own_handler_is_taken_off(stderr: Stderr) -> None:
    root = logging.getLogger()
    root.addHandler(logging.StreamHandler())
    configure()
    assert len(root.handlers) == 1
    _log.warning("once")
    assert len(lines(stderr)) == 1


# -- errors -----------------------------------------------------------------------------------


def test_an_error_is_told_by_type_place_and_cause(stderr: Stderr) -> None:
    def broken() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise ContractUnreachable("It is down", remedy="Wait.") from error

    with pytest.raises(ContractUnreachable), observed("sweep"):
        broken()
    error = lines(stderr)[0]["error"]
    assert (error["type"], error["code"]) == ("ContractUnreachable", "contract_unreachable")
    assert error["text"] == "It is down. Wait."
    assert error["place"].endswith(" broken")
    cause = error["cause"]
    assert cause["type"] == "JSONDecodeError"
    assert "json/decoder.py:" in cause["place"]
    assert "text" not in cause
    assert lines(stderr)[-1]["error_code"] == "contract_unreachable"


def test_the_place_names_our_own_code_on_the_way(stderr: Stderr) -> None:
    with pytest.raises(InvocationFailed), observed("sweep"):
        json_response(object())
    place = lines(stderr)[0]["error"]["place"]
    assert place.startswith("shared/http/answers.py:")
    assert " > " in place


def test_causes_that_go_round_come_to_an_end(stderr: Stderr) -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    configure()
    _log.error("round", exc_info=one)
    assert lines(stderr)[0]["error"]["cause"]["type"] == "KeyError"


def test_what_a_host_prints_of_an_error_shows_no_secret(stderr: Stderr) -> None:
    fault = r"sweep failed with RuntimeError\. .* r-7"
    with pytest.raises(InvocationFailed, match=fault) as told, observed("sweep", "r-7"):
        raise RuntimeError(f"connection with {SECRET} lost")
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
    assert SECRET not in str(told.value)
    with pytest.raises(InvocationFailed), observed("sweep"):
        raise ContractUnreachable(f"{SECRET} is down", remedy="Wait.")
    assert SECRET not in stderr.getvalue()


# -- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [logging.INFO, logging.CRITICAL])
def test_a_secret_is_redacted_wherever_it_stands(stderr: Stderr, level: int) -> None:
    fields = {"one": SECRET, SECRET: [SECRET, {"deep": (SECRET, 7)}], "path": Path(SECRET)}
    with observed(SECRET, "r-1"):
        _log.log(level, "%s", SECRET, extra={"fields": fields})
        _log.log(level, SECRET)
    assert SECRET not in stderr.getvalue()
    assert "7" in stderr.getvalue()


def test_a_secret_is_not_cut_in_half(stderr: Stderr) -> None:
    configure()
    _log.error("x" * (TEXT_CHARS_MAX - 10) + SECRET)
    [line] = lines(stderr)
    assert len(line["message"]) <= TEXT_CHARS_MAX
    assert SECRET[:5] not in line["message"]


@pytest.mark.usefixtures("on_lambda")  # pytest would complain of the arguments itself
def test_arguments_that_do_not_fit_are_not_shown(stderr: Stderr) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError(SECRET)

    configure()
    _log.error("%d users", SECRET)
    _log.error("odd", extra={"fields": {"value": Unprintable()}})
    first, second = lines(stderr)
    assert first["message"] == "%d users"
    assert second["level"] == "ERROR"
    assert SECRET not in stderr.getvalue()


def test_with_invalid_settings_the_environments_secrets_are_redacted(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOW_ACCESS_NODE", "nonsense")
    with observed("sweep"):
        _log.error("with %s", SECRET)
    assert SECRET not in stderr.getvalue()
    assert lines(stderr)[0]["message"] == "with [redacted]"


# -- request ids and metrics ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["a", "r-1", "Root=1-5759e988-bd862e3fe1be46a994272793", "x" * 100]
)
def test_a_callers_id_of_safe_characters_is_taken_over(text: str) -> None:
    assert is_request_id(text)


@pytest.mark.parametrize("text", ["", "x" * 101, "a b", "a\n", "a\x00", "<a>", '"', "ä", "١"])
def test_other_ids_are_not(text: str) -> None:
    assert not is_request_id(text)


@pytest.mark.usefixtures("on_lambda")
@pytest.mark.parametrize(
    ("chosen", "on_aws", "emitted"),
    [("emf", False, True), ("off", True, False), ("", True, True), ("", False, False)],
)
def test_metrics_are_written_where_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chosen: str,
    on_aws: bool,
    emitted: bool,
) -> None:
    monkeypatch.setenv("RECONCILE_METRICS", chosen)
    monkeypatch.setenv("RECONCILE_STAGE", "prod")
    if not on_aws:
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    with observed("sweep", "r-1"):
        note_run(RUN)
    out = capsys.readouterr().out
    assert bool(out) == emitted
    if emitted:
        root = json.loads(out)
        assert (root["Function"], root["Stage"], root["RequestId"]) == ("sweep", "prod", "r-1")
        assert (root["RunId"], root["RunsFinished"]) == (str(RUN), 0)
