"""The admin dashboard: pages for people who sign in by e-mail address or with a key.

Unlike the other functions it has paths of its own, `/runs/<id>` for example. Viewers see; admins
act, by forms that carry a token. `shared.dashboard.site` lists the pages.
"""

from flask import Request, Response

from shared.dashboard.entry import dashboard_function
from shared.dashboard.site import answer
from shared.http.lambda_http import lambda_handler


@dashboard_function
def dashboard(request: Request) -> Response:
    """Find the page, answer with it."""
    return answer(request)


handler = lambda_handler(dashboard, sub_paths=True)
