"""What pages of other origins can and can't do with a browser's session."""

from __future__ import annotations

import pytest

import app as application
from tests.unit.api import HOST, Api, Session, multipart_form
from tests.unit.conftest import Configure
from tests.unit.contract import check_error, check_headers, check_success
from tests.unit.world import World

PAGE = "https://app.example.org"
#: Sec-Fetch-Site and Origin as browsers send them -> whether a write by cookie is let through.
ORIGINS = [
    ({}, True),
    ({"Origin": f"https://{HOST}"}, True),
    ({"Origin": f"http://{HOST}"}, True),
    ({"Origin": PAGE}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Referer": f"https://{HOST}/page?x"}, True),
    ({"Referer": f"{PAGE}/page"}, True),
    ({"Referer": ""}, True),
    ({"Origin": PAGE, "Sec-Fetch-Site": "same-site"}, True),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Referer": f"https://{HOST}/redirects"}, False),
    ({"Referer": "https://evil.example/page"}, False),
    ({"Referer": f"https://{HOST}.evil.example/"}, False),
    ({"Referer": f"https://{HOST}@evil.example/"}, False),
    ({"Referer": "http://["}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": f"https://{HOST}.evil.example"}, False),
    ({"Origin": f"https://evil.example/{HOST}"}, False),
    ({"Origin": f"https://{HOST}:8443"}, False),
    ({"Origin": f"https://x@{HOST}"}, False),
    ({"Origin": f"{PAGE}.evil.example"}, False),
    ({"Origin": "http://app.example.org"}, False),
    ({"Origin": "http://["}, False),
    ({"Origin": "garbage"}, False),
    ({"Origin": HOST}, False),
]
FOREIGN = [headers for headers, allowed in ORIGINS if not allowed]


def test_write_by_cookie_from_a_foreign_page_is_403(
    any_api: Api, anna: Session, configure: Configure, world: World
) -> None:
    configure(CORS_ORIGINS=PAGE)
    content_type, body = multipart_form([("file", "a.txt", None, b"x")])
    written = 0
    for headers, allowed in ORIGINS:
        sent = {"Cookie": f"session={anna.token}", "Content-Type": content_type, **headers}
        answer = any_api.post("/files", headers=sent, body=body)
        if allowed:
            check_success(answer, 201)
            written += 1
        else:
            assert "origin" in check_error(answer, 403), headers
    assert len(world.rows("files")) == len(world.temp()) == written


def test_foreign_page_can_neither_log_out_nor_delete(api: Api, anna: Session) -> None:
    file_id = api.upload(anna).json["id"]
    for headers in FOREIGN:
        sent = {"Cookie": f"session={anna.token}", **headers}
        check_error(api.post("/auth/logout", headers=sent), 403)
        check_error(api.delete(f"/files/{file_id}", headers=sent), 403)
    check_success(api.get(f"/files/{file_id}", anna))


def test_bearer_is_not_sent_by_browsers_unasked_so_its_origin_is_free(api: Api, anna: Session) -> None:
    for headers in FOREIGN:
        check_success(api.upload(anna, headers=headers), 201)


def test_reading_by_cookie_changes_nothing_so_it_is_free(api: Api, anna: Session) -> None:
    for headers in FOREIGN:
        check_success(api.get("/files", headers={"Cookie": f"session={anna.token}", **headers}))


def test_page_without_tls_is_foreign_to_a_stage_with_it(api: Api, anna: Session, configure: Configure) -> None:
    configure(COOKIE_SECURE="true")
    cookie = {"Cookie": f"__Host-session={anna.token}"}
    check_error(api.post("/auth/logout", headers={**cookie, "Origin": f"http://{HOST}"}), 403)
    check_success(api.post("/auth/logout", headers={**cookie, "Origin": f"https://{HOST}"}))


def test_nothing_is_shared_across_origins_unless_configured(any_api: Api, anna: Session) -> None:
    for method in ("GET", "OPTIONS"):
        answer = any_api.request(method, "/files", session=anna, headers={"Origin": PAGE})
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:5173"])
def test_configured_origin_may_read_answers_and_errors(
    any_api: Api, anna: Session, configure: Configure, origin: str
) -> None:
    configure(CORS_ORIGINS=f"{PAGE}, http://localhost:5173/")
    for session, status in ((anna, 200), (None, 401)):
        answer = any_api.get("/files", session, headers={"Origin": origin})
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "*", ""])
def test_other_origin_may_not_read(any_api: Api, anna: Session, configure: Configure, origin: str) -> None:
    configure(CORS_ORIGINS=PAGE)
    for method in ("GET", "OPTIONS"):
        answer = any_api.request(method, "/files", session=anna, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Methods" not in answer.headers
        assert answer.headers["Vary"] == "Origin", "a cache must not hand this answer to the allowed page"


@pytest.mark.parametrize("path", sorted(application.app.routes))
def test_preflight_of_every_path_names_its_methods(any_api: Api, configure: Configure, path: str) -> None:
    configure(CORS_ORIGINS=PAGE)
    filled = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
    asking = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    answer = any_api.request("OPTIONS", filled, headers=asking)
    assert (answer.status, answer.body) == (204, b"")
    check_headers(answer)
    methods = set(application.app.routes[path])
    assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == methods
    assert set(answer.headers["Allow"].split(", ")) == methods
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert {"authorization", "content-type"} <= set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))
