"""What people type into forms, checked. What is wrong is told beside the form, which is kept."""

from uuid import UUID, uuid4

from werkzeug.datastructures import MultiDict

from shared.core.errors import InvalidReason
from shared.core.hold import check_reason
from shared.dashboard.texts import NONE

Form = MultiDict[str, str]


class FormFault(Exception):
    """What a person has to correct, in a sentence for the page."""


def reason_of(form: Form) -> str:
    """Why somebody does this. Raises FormFault."""
    try:
        return check_reason(form.get("reason", ""))
    except InvalidReason as error:
        raise FormFault(f"Nothing was done: {error}") from None


def check_typed(form: Form, wanted: str) -> None:
    """Did the person type what confirms it? Raises FormFault."""
    typed = form.get("confirm", "").strip()
    if typed != wanted:
        raise FormFault(
            f"Nothing was done: {typed[:40]!r} was typed, not {wanted!r}."
            if typed
            else f"Nothing was done: type {wanted!r} to confirm."
        )


def form_id(form: Form) -> UUID:
    """The id of this form, so that one that is sent twice acts once. Raises FormFault."""
    try:
        return UUID(form.get("form_id", NONE))
    except ValueError:
        raise FormFault("This form is not whole. Reload the page and try again.") from None


def new_form_id() -> str:
    """For the hidden field `form_id`."""
    return str(uuid4())
