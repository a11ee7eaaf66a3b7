"""The question before a run over everyone writes."""

import sys

from shared.cli.interrupt import Interrupt
from shared.cli.progress import ProgressBar
from shared.core.amount import FlowAmount, format_amount
from shared.core.run import Run


def somebody_to_ask() -> bool:
    """Is a person there: to answer on stdin, and to read the question on stderr?"""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def typed(question: str, interrupt: Interrupt) -> str:
    """What the person answers, without blanks around it; '' at the end of input and Ctrl-C."""
    print(question, end="", file=sys.stderr, flush=True)
    try:
        with interrupt.asking():
            answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        print(file=sys.stderr)  # the person has pressed no Enter
    return answer.strip()


class Question:
    """Asks once. Anything but y or yes declines; so do the end of input and Ctrl-C."""

    def __init__(self, interrupt: Interrupt, bar: ProgressBar) -> None:
        self._interrupt = interrupt
        self._bar = bar
        self.declined = False

    def may_write(self, run: Run) -> bool:
        """For `SweepHooks`."""
        self._bar.pause()
        answer = typed(f"{_text(run)} [y/N] ", self._interrupt)
        self.declined = answer.lower() not in {"y", "yes"}
        return not self.declined


def _text(run: Run) -> str:
    users = f"{run.candidates:,} user{'' if run.candidates == 1 else 's'}"
    surplus = format_amount(run.surplus)
    deficit = format_amount(FlowAmount(-run.deficit))
    although = f", although {run.halt.explanation}" if run.halt else ""
    return f"Correct {users} (+{surplus} FLOW / -{deficit} FLOW){although}?"
