"""What pages are put together from: routes, places, texts, charts."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from flask import Request
from pydantic import HttpUrl
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from shared.core.access import Permission
from shared.core.outcome import Outcome
from shared.core.run import RunState
from shared.dashboard import texts
from shared.dashboard.attempts import client_address
from shared.dashboard.charts import DriftPoint, LinePoint, drift_chart, line_chart
from shared.dashboard.place import place_of
from shared.dashboard.rendering import render
from shared.dashboard.routing import Handler, Router, Routes
from shared.dashboard.tones import TONES
from shared.settings import Settings
from tests.unit.runs import RUN_ID, STARTED


def request(
    host: str = "127.0.0.1:8080", root: str = "", remote: str = "127.0.0.1", **headers: str
) -> Request:
    builder = EnvironBuilder(
        environ_base={"REMOTE_ADDR": remote},
        base_url=f"http://{host}{root}/",
        headers=Headers([(name.replace("_", "-"), value) for name, value in headers.items()]),
    )
    return Request(builder.get_environ())


def place(asked: Request, url: str | None = None) -> Any:
    config = SimpleNamespace(reconcile_dashboard_url=None if url is None else HttpUrl(url))
    return place_of(asked, cast(Settings, config))


# -- routes --------------------------------------------------------------------------------------


def named(name: str) -> Handler:
    return Mock(__name__=name)


@pytest.fixture
def router() -> Router:
    routes = Routes()
    routes.get("/users")(named("users"))
    routes.get("/users/{address:rest}")(named("user"))
    routes.get("/runs/{run_id:uuid}/x.y")(named("dotted"))
    routes.post("/runs/{name}")(named("act"))
    return Router([routes])


@pytest.mark.parametrize(
    ("method", "path", "name", "parts"),
    [
        ("GET", "/users", "users", {}),
        ("HEAD", "/users", "users", {}),
        ("GET", "/users/a/b", "user", {"address": "a/b"}),
        ("GET", f"/runs/{RUN_ID}/x.y", "dotted", {"run_id": RUN_ID}),
        ("POST", "/runs/a b", "act", {"name": "a b"}),
    ],
)
def test_a_path_leads_to_its_handler_with_its_parts(
    router: Router, method: str, path: str, name: str, parts: dict[str, object]
) -> None:
    found = router.find(method, path)
    assert found is not None
    assert (found.route.handler.__name__, found.parts) == (name, parts)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/users"),
        ("GET", "/users/"),
        ("GET", "/user"),
        ("GET", "/users\n"),
        ("GET", f"/runs/{RUN_ID}/xzy"),
        ("GET", "/runs/a"),
        ("POST", "/runs/a/b"),
        ("POST", "/runs/"),
        ("GET", ""),
    ],
)
def test_another_path_or_method_leads_nowhere(router: Router, method: str, path: str) -> None:
    assert router.find(method, path) is None


def test_it_is_known_what_may_be_asked_of_a_path(router: Router) -> None:
    assert router.methods("/runs/a") == ("POST",)
    assert router.methods("/nothing") == ()
    permissions = {route.method: route.permission for route in router.routes}
    assert permissions == {"GET": Permission.READ, "POST": Permission.WRITE}


# -- where a browser sees it ---------------------------------------------------------------------


def test_links_go_by_where_the_function_is_mounted() -> None:
    assert place(request()).root == ""
    assert place(request()).cookie_path == "/"
    assert place(request(root="/dev/dashboard")).root == "/dev/dashboard"
    assert place(request(root="/dev/dashboard")).cookie_path == "/dev/dashboard"


def test_the_setting_says_where_people_open_it() -> None:
    found = place(request("internal:8081", "/x"), "https://Admin.example/ops/")
    assert (found.root, found.is_secure) == ("/ops", True)
    assert found.hosts == {"admin.example", "internal:8081"}
    assert place(request(), "https://admin.example").root == ""


@pytest.mark.parametrize(
    ("host", "is_secure"),
    [
        ("127.0.0.1:8080", False),
        ("localhost", False),
        ("[::1]:8081", False),
        ("admin.example", True),
        ("10.0.0.1:8080", True),
        ("127.0.0.1.evil.example", True),
    ],
)
def test_cookies_travel_by_https_but_for_loopback(host: str, is_secure: bool) -> None:
    assert place(request(host)).is_secure is is_secure


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("8.8.8.8", "1.2.3.4", "8.8.8.8"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("169.254.8.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.3", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_attempts_count_for_an_address_that_nobody_can_make_up(
    remote: str, forwarded: str | None, address: str
) -> None:
    headers = {} if forwarded is None else {"X_Forwarded_For": forwarded}
    assert client_address(request(remote=remote, **headers)) == address


def test_api_gateway_knows_the_address() -> None:
    asked = request(X_Forwarded_For="6.6.6.6")
    asked.environ["apig_wsgi.request_context"] = {"identity": {"sourceIp": "1.2.3.4"}}
    assert client_address(asked) == "1.2.3.4"


# -- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "text", "signed"),
    [
        (0, "0.00000000", "0.00000000"),
        (1, "0.00000001", "+0.00000001"),
        (-1, "−0.00000001", "−0.00000001"),
        (123_456_789_012_345_678, "1,234,567,890.12345678", "+1,234,567,890.12345678"),
        (-100_000_000_000, "−1,000.00000000", "−1,000.00000000"),
        (2**80, "12,089,258,196,146,291.74706176", "+12,089,258,196,146,291.74706176"),
        (None, "–", "–"),
    ],
)
def test_amounts_are_written_to_the_last_unit(units: int | None, text: str, signed: str) -> None:
    assert (texts.amount(units), texts.signed_amount(units)) == (text, signed)


def test_times_are_in_utc_with_the_exact_time_beside() -> None:
    local = STARTED.astimezone(datetime.now().astimezone().tzinfo)
    assert texts.moment(local) == (
        '<time datetime="2026-01-02T03:04:05.000Z" title="2026-01-02T03:04:05.000Z">'
        "2026-01-02 03:04:05 UTC</time>"
    )
    assert "UTC" not in texts.clock(local)
    assert texts.moment(None) == "–"


@pytest.mark.parametrize(
    ("length_s", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
        (timedelta(minutes=5), "5 min"),
        (None, "–"),
    ],
)
def test_lengths_of_time_are_said_as_people_do(
    length_s: float | timedelta | None, text: str
) -> None:
    assert texts.seconds(length_s) == text


def test_every_state_and_outcome_is_marked() -> None:
    assert set(Outcome) <= set(TONES)
    unmarked = {str(state) for state in RunState if state not in TONES}
    assert unmarked == {"planning", "scanning", "correcting", "declined", "cancelled"}


def test_templates_escape_and_know_no_undefined_name() -> None:
    problem = SimpleNamespace(detail="<b>", status=500, code="x")
    assert "&lt;b&gt;" in render("bare_problem.html", problem=problem)
    with pytest.raises(Exception, match="problem"):
        render("bare_problem.html")


# -- charts --------------------------------------------------------------------------------------


def at(minute: int) -> datetime:
    return datetime(2026, 1, 2, 3, minute, tzinfo=UTC)


def heights(drawing: str, style: str) -> list[float]:
    return [
        float(height) for height in re.findall(rf'class="{style}"[^/]*height="([0-9.]+)"', drawing)
    ]


def test_bars_are_as_high_as_what_was_found() -> None:
    chart = drift_chart(
        [
            DriftPoint(at(1), "one", 100, -50),
            DriftPoint(at(2), "two", 0, 0),
            DriftPoint(at(3), "three", 50, 0),
        ],
        "What it shows.",
    )
    assert heights(chart.drawing, "above") == [92.0, 46.0]
    assert heights(chart.drawing, "below") == [46.0]
    assert (chart.top, chart.bottom) == ("+0.00000100 FLOW", "−0.00000100 FLOW")
    assert (chart.first, chart.last) == ("02 Jan 03:01", "02 Jan 03:03")
    assert 'aria-label="What it shows."' in chart.drawing
    assert "one, 02 Jan 03:01: surplus +0.00000100, deficit −0.00000050" in chart.drawing


def test_a_halted_run_does_not_set_the_scale() -> None:
    chart = drift_chart(
        [
            DriftPoint(at(1), "one", 100, 0),
            DriftPoint(at(2), "two", 0, -(10**15), to_scale=False),
        ],
        "",
    )
    assert chart.top == "+0.00000100 FLOW"
    assert heights(chart.drawing, "above") == [92.0]
    assert heights(chart.drawing, "below") == []
    assert heights(chart.drawing, "halted") == [200.0]


def test_what_is_tiny_beside_the_rest_is_still_seen() -> None:
    chart = drift_chart([DriftPoint(at(1), "", 10**17, 0), DriftPoint(at(2), "", 1, 0)], "")
    assert heights(chart.drawing, "above") == [92.0, 2.0]


def test_no_drift_is_a_chart_without_bars_and_without_a_scale() -> None:
    chart = drift_chart([DriftPoint(at(1), "", 0, 0)], "")
    assert heights(chart.drawing, "above") == heights(chart.drawing, "below") == []
    assert (chart.top, chart.last) == ("", "")


def test_a_line_breaks_where_nothing_is_known() -> None:
    points = [LinePoint(at(n), units) for n, units in enumerate([0, 5, None, -5])]
    chart = line_chart([("line", points)], "")
    assert re.findall(r'class="(line[^"]*)" d="([^"]*)"', chart.drawing) == [
        ("line", "M6.00 100.00L335.33 8.00"),
        ("line dot", "M994.00 192.00h0"),
    ]


def test_names_in_a_chart_are_escaped() -> None:
    chart = drift_chart([DriftPoint(at(1), "<b>", 1, 0)], '"<i>')
    assert "<b>" not in chart.drawing
    assert 'aria-label="&#34;&lt;i&gt;"' in chart.drawing
