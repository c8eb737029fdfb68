"""What no call may pass over, and what no caller may do to the server: conditions, bounds, keys that are none."""

import pytest

RECORDS = "storage/tables/policies/records"
EVENTS = "storage/streams/orders/events"
ROUTES = "routing/routes"
ROUTE = {"resource_kind": "object_store", "backend_type": "filesystem", "tier": "changed"}


def problem(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.parametrize("amount", ["1e999999999", "-1e999999999", "1e-999999999", "1E+126"])
@pytest.mark.parametrize("where", ["deltas", "ceilings", "floors"])
def test_an_amount_of_a_billion_digits_is_refused_at_once(acme_api, where, amount):
    body = {"deltas": {"n": 1}, where: {"n": amount}}
    assert problem(acme_api.post(f"{RECORDS}/p1/increment", body)) == (400, "INVALID_REQUEST")
    assert acme_api.get(f"{RECORDS}/p1").status_code == 404


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{RECORDS}/p1/increment", {"deltas": {"n": 1}}),
        ("storage/tables/policies/batch", {"items": [{"key": "p1", "data": {}}]}),
        ("/storage/tabular/policies/upsert", {"key": "p1", "data": {}}),
        (EVENTS, {"type": "placed", "data": 1}),
        ("/timeline/orders/append", {"type": "placed", "data": 1}),
    ],
)
def test_a_condition_that_a_write_cannot_weigh_is_refused_and_never_passed_over(acme_api, path, body, header):
    assert problem(acme_api.post(path, body, headers={header: '"99"'})) == (400, "INVALID_REQUEST")
    assert acme_api.get(RECORDS).json()["items"] == acme_api.get(EVENTS).json()["items"] == []


def test_a_delete_of_a_record_takes_no_create_only_condition(acme_api):
    acme_api.put(f"{RECORDS}/p1", {"data": {}})
    refused = acme_api.delete(f"{RECORDS}/p1", headers={"If-None-Match": "*"})
    assert problem(refused) == (400, "INVALID_REQUEST")
    assert acme_api.get(f"{RECORDS}/p1").status_code == 200


@pytest.mark.parametrize("address", ["", "/"])
def test_a_route_posted_create_only_never_flips_the_one_there_is(acme_api, address):
    refused = acme_api.post(address + ROUTES, ROUTE, headers={"If-None-Match": "*"})
    assert problem(refused) == (412, "VERSION_CONFLICT")
    assert all(route["tier"] != "changed" for route in acme_api.get(ROUTES).json()["items"])
    elsewhere = acme_api.post(address + ROUTES, {**ROUTE, "env": "prod"}, headers={"If-None-Match": "*"})
    assert elsewhere.status_code == 201


@pytest.mark.parametrize("key", ["", "%0A", "a%0Ab", "a%0D%0Ab/c"])
@pytest.mark.parametrize(
    "path",
    [f"{RECORDS}/{{}}", "storage/streams/{}/events", "/timeline/{}/events", "/raw/get/{}"],
)
def test_a_key_that_is_empty_or_holds_a_line_break_is_refused_by_its_rule(acme_api, path, key):
    assert problem(acme_api.get(path.format(key))) == (400, "INVALID_KEY")


@pytest.mark.parametrize("key", ["", "%0A", "a%0Ab"])
def test_nothing_is_counted_under_such_a_key(acme_api, key):
    answer = acme_api.post(f"{RECORDS}/{key}/increment", {"deltas": {"n": 1}})
    assert problem(answer) == (400, "INVALID_KEY")


@pytest.mark.parametrize(
    "path",
    [RECORDS, "storage/objects", "routing/routes", "routing/audit", "/raw/list", EVENTS, "/timeline/orders/events"],
)
def test_an_empty_cursor_is_none_that_a_list_gave(acme_api, path):
    assert problem(acme_api.get(f"{path}?cursor=")) == (400, "INVALID_CURSOR")


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1767225600", "soon", ""]
)
def test_a_time_that_is_none_is_refused_as_a_filter_of_the_trail(acme_api, since):
    assert problem(acme_api.get(f"routing/audit?since={since}")) == (400, "INVALID_REQUEST")


def test_a_time_without_an_offset_is_utc(acme_api):
    [newest] = acme_api.get("routing/audit?limit=1").json()["items"]
    at = newest["at"].removesuffix("Z")
    assert newest in acme_api.get(f"routing/audit?since={at}").json()["items"]


@pytest.mark.parametrize("path", [RECORDS, EVENTS, "storage/objects", "routing/routes", "routing/audit", "/raw/list"])
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "%2B1", "%201", "1_0", "1.0", "%D9%A1", "", "9" * 5000])
def test_a_page_has_1_to_1000_items_in_plain_digits(acme_api, path, limit):
    assert problem(acme_api.get(f"{path}?limit={limit}")) == (400, "INVALID_REQUEST")
