"""Which representation a GET asks for: `?format=` first, or else the Accept header."""

from collections.abc import Mapping, Sequence

from flask import Request

from shared.http.problem import Problem


def chosen_format(
    request: Request, media_types: Mapping[str, str], *, others: Sequence[str] = ()
) -> str:
    """One of the names in `media_types` (name → media type); the first where the caller is neutral.

    `others` are the parameters that the function knows besides. Raises Problem: 400 for an unknown
    `format` or any other parameter, as the caller has misspelt something; 406 when Accept rules out
    every representation.
    """
    for name in request.args:
        if name != "format" and name not in others:
            known = f"Known are {', '.join(others)} and" if others else "The only one is"
            raise Problem(
                400, "invalid_input", f"{name[:60]!r} is not a known parameter. {known} format."
            )
    if "format" in request.args:
        return _named(request.args.getlist("format"), media_types)
    return _accepted(request, media_types)


def _named(given: list[str], media_types: Mapping[str, str]) -> str:
    if len(given) == 1 and given[0] in media_types:
        return given[0]
    shown = "&".join(given)[:60]
    raise Problem(
        400,
        "invalid_input",
        f"The format {shown!r} is not known. Give one of: {', '.join(media_types)}.",
    )


def _accepted(request: Request, media_types: Mapping[str, str]) -> str:
    accept = request.accept_mimetypes
    if not accept:
        return next(iter(media_types))
    best = max(media_types, key=lambda name: accept.quality(media_types[name]))
    if accept.quality(media_types[best]) > 0:
        return best
    raise Problem(
        406,
        "not_acceptable",
        f"The Accept header allows none of {', '.join(media_types.values())}. "
        "Change it, or add ?format=.",
        headers={"Vary": "Accept"},
    )
