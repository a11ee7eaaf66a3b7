"""Templates into pages. Whatever is put into one is escaped, unless it is Markup of ours."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.core.outcome import Outcome
from shared.dashboard import texts
from shared.dashboard.run_choices import choices_of
from shared.dashboard.tones import TONES

_FOLDER = Path(__file__).parent / "templates"
_FILTERS: tuple[Callable[..., object], ...] = (
    texts.amount,
    texts.signed_amount,
    texts.count,
    texts.moment,
    texts.clock,
    texts.day,
    texts.seconds,
    texts.words,
    texts.short_id,
)


@cache
def environment() -> Environment:
    """One a process: it keeps the templates that it has compiled."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update({each.__name__: each for each in _FILTERS})
    made.globals.update(Outcome=Outcome, tones=TONES, choices_of=choices_of)
    return made


def render(template: str, **values: object) -> str:
    """The text of a template of the folder `templates`."""
    return environment().get_template(template).render(**values)
