"""Where the browser sees the dashboard: links, cookies and the check of forms go by it.

RECONCILE_DASHBOARD_URL says so. Without it, it is what the request was routed by: API Gateway's
stage and resource, the path that a server has the function at, or the root.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request

from shared.settings import Settings

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True)
class Place:
    """`root` is the path before all of ours, without a slash at its end. `hosts`, with ports, in
    lower case, are what a browser may have called us."""

    root: str
    hosts: frozenset[str]
    is_secure: bool

    @property
    def cookie_path(self) -> str:
        return self.root or "/"


def place_of(request: Request, config: Settings) -> Place:
    """The place of a request. Cookies are for https alone, but for a loopback address."""
    if config.reconcile_dashboard_url is not None:
        url = urlsplit(str(config.reconcile_dashboard_url))
        hosts = frozenset({url.netloc.lower(), request.host.lower()})
        return Place(url.path.rstrip("/"), hosts, url.scheme == "https")
    name = request.host.rpartition(":")[0] if ":" in request.host else request.host
    hosts = frozenset({request.host.lower()})
    return Place(request.script_root.rstrip("/"), hosts, name not in _LOOPBACK)
