"""The stylesheet, the script and the icon: served under names that change with their content."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Request, Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served, below `/assets/`."""

    served_as: str
    content_type: str
    content: bytes
    etag: str


def asset_path(name: str) -> str:
    """Where a page finds `style.css`: `/assets/style.<hash>.css`."""
    return f"/assets/{_by_name()[name].served_as}"


def asset_response(request: Request, served_as: str) -> Response | None:
    """The asset of that name, or None. Only names that are there are looked up: no path is made."""
    asset = next((each for each in _by_name().values() if each.served_as == served_as), None)
    if asset is None:
        return None
    response = Response(asset.content, content_type=asset.content_type)
    response.set_etag(asset.etag)
    response.headers["Cache-Control"] = _FOREVER
    response.make_conditional(request)
    return response


@cache
def _by_name() -> dict[str, Asset]:
    return {path.name: _read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(f"{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], content, digest)
