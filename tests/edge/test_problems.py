"""Errors leave in one shape, whatever raised them and wherever."""

import json

import pytest
from django.test import Client
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from northstar.errors import NotFound, RateLimited
from northstar.problems import asgi_response
from tests.edge.failures import FAILURES

MEMBERS = {"type", "title", "status", "detail", "error_code", "fix", "request_id", "errors"}

STATUS = {
    "CONTRACT_VIOLATION": 422,
    "INVALID_REQUEST": 400,
    "INVALID_MODE": 400,
    "INVALID_CONTEXT": 400,
    "INVALID_KEY": 400,
    "INVALID_CURSOR": 400,
    "INVALID_CONFIG": 400,
    "UNSUPPORTED_BACKEND": 400,
    "FORBIDDEN_ENDPOINT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "TENANT_MISMATCH": 403,
    "MODE_MISMATCH": 403,
    "FORBIDDEN_BACKEND_CLASS": 403,
    "NOT_FOUND": 404,
    "NOT_PUBLISHED": 404,
    "RULE_NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "CONFLICT": 409,
    "CURSOR_GONE": 410,
    "REVISION_GONE": 410,
    "VERSION_CONFLICT": 412,
    "TOO_LARGE": 413,
    "IDEMPOTENCY_MISMATCH": 422,
    "CHECKSUM_MISMATCH": 422,
    "STRATEGY_LOCKED": 423,
    "QUOTA_EXCEEDED": 429,
    "RATE_LIMITED": 429,
    "NO_ROUTE_CONFIGURED": 500,
    "BACKEND_NOT_IMPLEMENTED": 501,
    "BACKEND_REJECTED": 502,
    "BACKEND_UNAVAILABLE": 503,
    "CACHE_UNAVAILABLE": 503,
}


def problem(answer, status: int, code: str):
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert body.keys() >= MEMBERS
    assert (answer.status_code, body["status"], body["error_code"]) == (status, status, code)
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert b"Traceback" not in answer.content
    assert b"<html" not in answer.content.lower()
    return body


def test_why_a_request_failed_stands_in_its_log_line_unless_the_caller_is_to_blame(edge):
    with capture_logs(processors=[merge_contextvars]) as lines:
        edge.get("fails/BACKEND_UNAVAILABLE")
        edge.get("fails/NOT_FOUND")
    failed, refused = [line for line in lines if line["event"] == "request_finished"]
    assert (failed["error_code"], failed["error"]) == ("BACKEND_UNAVAILABLE", "What happened.")
    assert "error" not in refused


def test_every_error_class_is_tried():
    assert FAILURES.keys() == STATUS.keys()


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_code_has_its_status_and_the_one_shape(edge, code):
    body = problem(edge.get(f"fails/{code}"), STATUS[code], code)
    assert body["type"] == f"urn:northstar:error:{code}"
    assert body["detail"]


@pytest.mark.parametrize("code", ["BACKEND_UNAVAILABLE", "RATE_LIMITED"])
def test_a_retry_that_may_help_has_its_time(edge, code):
    assert int(edge.get(f"fails/{code}").headers["Retry-After"]) >= 1


def test_a_throttled_request_is_told_for_how_long(edge):
    answer = edge.get("throttled")
    problem(answer, 429, "RATE_LIMITED")
    assert answer.headers["Retry-After"] == "7"


def test_a_gone_cursor_says_where_to_resume(edge):
    body = problem(edge.get("fails/CURSOR_GONE"), 410, "CURSOR_GONE")
    assert (body["reason"], body["earliest"], body["tail"]) == ("trimmed", 3, 9)


def test_a_full_quota_says_how_much_is_used(edge):
    body = problem(edge.get("fails/QUOTA_EXCEEDED"), 429, "QUOTA_EXCEEDED")
    assert (body["used"], body["limit"]) == (10, 10)


@pytest.mark.parametrize(
    "path", ["nothing", "/api/v1", "/api/nothing", "/routing/nothing", "/raw", "/timeline/x", "/nexus", "/x"]
)
def test_an_address_that_leads_nowhere_is_a_problem_and_no_page(edge, path):
    problem(edge.get(path), 404, "NOT_FOUND")


def test_a_method_that_is_not_there_names_those_that_are(edge):
    answer = edge.delete("orders")
    problem(answer, 405, "INVALID_REQUEST")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "BREW"])
def test_an_odd_method_is_refused(edge, method):
    problem(edge.request(method, "orders"), 405, "INVALID_REQUEST")


def test_a_defect_is_told_without_its_cause_and_logged_with_the_request_id(edge, caplog):
    body = problem(edge.get("fails/UNKNOWN", headers={"X-Request-Id": "find-me"}), 500, "INTERNAL")
    assert "KeyError" not in json.dumps(body)
    assert any("find-me" in record.getMessage() for record in caplog.records)


def test_a_defect_outside_of_the_rest_views_is_a_problem_too(edge):
    answer = edge.get("plain")
    problem(answer, 500, "INTERNAL")
    assert b"canary" not in answer.content


def test_a_defect_in_the_admin_is_a_page_without_its_cause(edge):
    answer = edge.get("/admin/plain")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"canary" not in answer.content


def test_an_unknown_host_is_refused(edge):
    problem(edge.get("orders", headers={"Host": "evil.example"}), 400, "INVALID_REQUEST")


def test_a_view_that_names_no_scope_is_closed_to_everybody(edge):
    problem(edge.get("unscoped"), 403, "FORBIDDEN")


def test_a_key_without_the_scope_is_refused_by_name(edge, acme, api):
    body = problem(api(acme, scopes=["data:read"]).post("orders", {"amount": 1}), 403, "FORBIDDEN")
    assert "data:write" in body["detail"]


def test_an_admin_session_opens_nothing_on_the_api(edge, admin_user):
    browser = Client()
    browser.force_login(admin_user)
    problem(browser.get("/api/v1/orders"), 401, "UNAUTHENTICATED")


def test_any_accept_header_is_answered(edge):
    for accept in ("text/html", "image/png", "application/xml;q=0.1", "*/*"):
        assert edge.get("orders?limit=1", headers={"Accept": accept}).status_code == 200


def test_the_stream_plane_answers_errors_in_the_same_shape():
    status, headers, body = asgi_response(NotFound("No stream.", fix="Append first."), "req-1")
    found = json.loads(body)
    assert (status, found["error_code"], found["request_id"]) == (404, "NOT_FOUND", "req-1")
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    assert dict(headers)[b"x-request-id"] == b"req-1"


def test_the_stream_plane_tells_when_to_retry():
    assert (b"retry-after", b"1") in asgi_response(RateLimited("Full."), "req-1")[1]


def test_a_token_in_an_error_is_masked():
    leak = NotFound("No ns_abcdefghijkl_" + "a" * 64 + " here.")
    assert b"aaaa" not in asgi_response(leak, "req-1")[2]
