"""Log lines as JSON objects on stderr, one a line, without secrets."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Any

from shared.core.errors import ReconcileError
from shared.observe.context import current
from shared.observe.redact import Redactor, secrets_of
from shared.settings import Settings, settings

TEXT_CHARS_MAX = 4_000
"""A longer text is cut; CloudWatch refuses lines of more than 256 KB."""

_OURS = ("shared", "functions")
_ROOT = Path(__file__).parents[2]
_CAUSES_MAX = 5


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "message", "function", "request_id", "run_id", "error", …}`.

    What is not known is left out. `extra={"fields": {…}}` adds members. An exception is told by
    its type, where it was raised, and what caused it; by its code and text only if it is one of
    ours, because other texts may hold anything.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self.redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _iso(record.created),
            "level": record.levelname,
            **_severity(record),
            "message": _message(record),
            **_labels(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _told(record.exc_info[1])
        return json.dumps(self._clean(line), default=str)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self.redact(str(key)): self._clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        # Cut afterwards: half a secret would not be recognised.
        return self.redact(str(value))[:TEXT_CHARS_MAX]


class _Stderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:
            # logging's own complaint would show the record's arguments as they are.
            line = json.dumps({"level": "ERROR", "message": f"A log line failed: {type(error)}"})
        sys.stderr.write(line + "\n")  # looked up now: a host or a test may have replaced it


_handler = _Stderr()


def configure() -> Settings | None:
    """Let this process log JSON, at RECONCILE_LOG_LEVEL; cheap to call again.

    Returns the settings, None if they are not valid: that complaint has to be logged too.
    """
    config: Settings | None = None
    with suppress(Exception):
        config = settings()
    secrets = Redactor(secrets_of(config))
    if not isinstance(_handler.formatter, JsonFormatter) or (
        _handler.formatter.redact.secrets != secrets.secrets
    ):
        _handler.setFormatter(JsonFormatter(secrets))
    _take_over(logging.getLogger())
    for name in _OURS:  # others at WARNING: httpx tells every request at INFO
        logging.getLogger(name).setLevel(config.reconcile_log_level if config else "INFO")
    return config


def redacted(text: str) -> str:
    """The text as a log line would show it."""
    formatter = _handler.formatter
    redact = formatter.redact if isinstance(formatter, JsonFormatter) else Redactor()
    return redact(text)


def _take_over(root: logging.Logger) -> None:
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        # Lambda's own handler would write every record a second time, with its exception's text.
        for other in [each for each in root.handlers if each is not _handler]:
            root.removeHandler(other)
    if _handler not in root.handlers:
        root.addHandler(_handler)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit
        return str(record.msg)


def _severity(record: logging.LogRecord) -> dict[str, str]:
    """The level as Google's log knows it, on Google."""
    return {"severity": record.levelname} if "K_SERVICE" in os.environ else {}


def _labels() -> dict[str, str]:
    invocation = current()
    if invocation is None:
        return {}
    run = {} if invocation.run_id is None else {"run_id": str(invocation.run_id)}
    return {"function": invocation.function, "request_id": invocation.request_id, **run}


def _told(error: BaseException) -> dict[str, Any]:
    """The error, with what caused it as `cause`, which has its own, and so on."""
    chain = [error]
    while len(chain) < _CAUSES_MAX and (cause := _cause(chain[-1])) is not None:
        chain.append(cause)
    told: dict[str, Any] = {}
    for each in reversed(chain):
        told = _one(each) | ({"cause": told} if told else {})
    return told


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _one(error: BaseException) -> dict[str, Any]:
    told: dict[str, Any] = {"type": type(error).__qualname__, "place": _place(error)}
    if isinstance(error, ReconcileError):
        told |= {"code": error.code, "text": str(error)}
    return told


def _place(error: BaseException) -> str | None:
    """Where it was raised, and the last place of ours on the way there if that is another."""
    frames = extract_tb(error.__traceback__)
    if not frames:
        return None
    places = [frames[-1]]
    ours = [each for each in frames if _is_ours(each.filename)]
    if ours and ours[-1] is not frames[-1]:
        places.insert(0, ours[-1])
    return " > ".join(f"{_short(each.filename)}:{each.lineno} {each.name}" for each in places)


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _OURS


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if _is_ours(filename) else "/".join(path.parts[-3:])


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
