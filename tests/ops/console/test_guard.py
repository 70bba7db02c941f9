"""Who may speak to the console."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ops.console import service
from ops.console.guard import POLICY
from ops.console.pages import ROUTES
from tests.ops.console.served import Served, nothing, serving


@pytest.fixture(scope="module")
def console() -> Iterator[Served]:
    """One whose stack is down: what it refuses does not depend on any."""
    with serving(nothing) as served:
        yield served


def test_it_listens_on_loopback_alone() -> None:
    """No other machine can reach it; a port that is taken is passed over."""
    with closing(service.listen(0)) as first:
        host, port = first.getsockname()
        with closing(service.listen(port)) as second:
            assert host == second.getsockname()[0] == "127.0.0.1"
            assert port < second.getsockname()[1] <= port + 20


def test_without_the_cookie_nothing_is_shown(console: Served) -> None:
    """Neither pages nor files, whatever else is right; a wrong cookie and a wrong token are none."""
    for path in ("/", "/alarms", "/overview/live", "/static/console.js", "/nowhere"):
        assert console.call("GET", path, Cookie=None).status == 401
        assert console.call("GET", path, Cookie=f"{console.session.cookie}=wrong").status == 401
    for token in ("", "wrong", "%C3%A9", console.session.secret):
        assert console.call("GET", f"/?token={token}", Cookie=None).status == 401
    assert console.call("GET", f"/alarms?token={console.session.token}", Cookie=None).status == 401
    assert (
        console.call("POST", f"/?token={console.session.token}", "", Cookie=None, Origin=console.origin).status == 401
    )


def test_the_url_gives_the_cookie_which_no_script_and_no_other_site_has(console: Served) -> None:
    """The token leaves the address at once; the cookie is another secret than that."""
    answer = console.call("GET", f"/?token={console.session.token}", Cookie=None)

    assert answer.status == 200
    assert answer.headers["set-cookie"] == f"{console.cookie}; HttpOnly; Path=/; SameSite=strict"
    assert 'http-equiv="refresh" content="0;url=/"' in answer.text
    assert console.session.token not in answer.text
    assert console.session.secret != console.session.token


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost", "127.0.0.1:1"])
def test_another_host_is_refused(console: Served, host: str) -> None:
    """A name of the internet that points to 127.0.0.1 reaches nothing, not even with cookie and token."""
    assert console.call("GET", f"/?token={console.session.token}", Host=host).status == 403


def test_its_two_names_are_good(console: Served) -> None:
    """127.0.0.1 and localhost, with its port."""
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{console.session.port}"
        assert console.call("GET", "/static/console.js", Host=host).status == 200
        assert console.call("GET", "/static/console.js", Host=host, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_another_origin_is_refused(console: Served, method: str, origin: str) -> None:
    """With the cookie, too, and whatever the method."""
    assert console.call(method, "/", Origin=origin).status == 403


def test_what_changes_something_must_name_its_origin(console: Served) -> None:
    """Browsers always do with a POST."""
    assert console.call("POST", "/", "").status == 403


def test_no_get_changes_anything() -> None:
    """A route takes GET, or POST; none takes both."""
    assert ROUTES
    assert {frozenset(route.methods or ()) for route in ROUTES} <= {frozenset({"GET", "HEAD"}), frozenset({"POST"})}


def test_every_answer_carries_the_policy(console: Served) -> None:
    """Refusals, files, pages, and what is not there; nothing is kept, framed or guessed."""
    answers = [
        console.call("GET", "/", Host="evil.example"),
        console.call("GET", "/", Cookie=None),
        console.get("/"),
        console.get("/nowhere"),
        console.get("/static/console.css"),
    ]

    assert [one.status for one in answers] == [403, 401, 503, 404, 200]
    for one in answers:
        assert one.headers["content-security-policy"] == POLICY
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["x-frame-options"] == "DENY"
        assert one.headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


def test_a_path_is_no_markup(console: Served) -> None:
    """What is not there is named without being taken for HTML."""
    assert "<script>" not in console.get("/%3Cscript%3E").text
