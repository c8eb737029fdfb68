"""Records of tables over REST."""

from decimal import Decimal

import pytest

from routing.models import IdempotencyRecord
from storage.api.table_bodies import BatchOut, RecordOut, RecordPageOut, TotalsOut

RECORD = "storage/tables/policies/records/p1"


def test_a_record_is_put_and_read_with_its_version(acme_api):
    put = acme_api.put(RECORD, {"data": {"name": "Ada", "limit": 2**70}})
    got = acme_api.get(RECORD)
    assert (put.status_code, got.status_code) == (200, 200)
    assert put.json() == got.json()
    assert (put["ETag"], got["ETag"], got["X-Northstar-Backend"]) == ('"1"', '"1"', "filesystem")
    record = RecordOut.model_validate_json(got.content)
    assert (record.key, record.data, record.version) == ("p1", {"name": "Ada", "limit": 2**70}, 1)


def test_a_missing_record_is_not_found_and_its_deletion_harmless(acme_api):
    answer = acme_api.get(RECORD)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")
    acme_api.put(RECORD, {"data": {}})
    assert [acme_api.delete(RECORD).status_code for _ in range(2)] == [204, 204]
    assert acme_api.get(RECORD).status_code == 404


@pytest.mark.line(40, 41)
def test_a_stale_etag_is_refused_and_changes_nothing(acme_api):
    acme_api.put(RECORD, {"data": {"n": 1}})
    assert acme_api.put(RECORD, {"data": {"n": 2}}, headers={"If-Match": '"1"'}).status_code == 200
    stale = acme_api.put(RECORD, {"data": {"n": 3}}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["error_code"]) == (412, "VERSION_CONFLICT")
    assert acme_api.delete(RECORD, headers={"If-Match": '"1"'}).status_code == 412
    assert acme_api.put(RECORD, {"data": {}}, headers={"If-Match": "soon"}).status_code == 400
    assert acme_api.get(RECORD).json()["data"] == {"n": 2}


def test_create_only_creates_once(acme_api):
    first = acme_api.put(RECORD, {"data": {"n": 1}}, headers={"If-None-Match": "*"})
    second = acme_api.put(RECORD, {"data": {"n": 2}}, headers={"If-None-Match": "*"})
    assert (first.status_code, second.status_code, second.json()["error_code"]) == (201, 412, "VERSION_CONFLICT")
    assert acme_api.put(RECORD, {"data": {}}, headers={"If-None-Match": '"1"'}).status_code == 400
    assert acme_api.get(RECORD).json()["data"] == {"n": 1}


@pytest.mark.parametrize(
    "key", ["a/b/c", "a%2Fb", "caf%C3%A9", "100%25", "x/increment", "increment", "a%20b", "/lead", "a//b/"]
)
def test_a_key_is_taken_literally(acme_api, key):
    path = f"storage/tables/policies/records/{key}"
    assert acme_api.put(path, {"data": {"key": key}}).status_code == 200
    assert acme_api.get(path).json()["data"] == {"key": key}
    assert [item["data"]["key"] for item in acme_api.get("storage/tables/policies/records").json()["items"]] == [key]
    assert acme_api.delete(path).status_code == 204


def test_a_prefix_is_listed_in_pages(acme_api):
    for n in range(5):
        acme_api.put(f"storage/tables/policies/records/policy_{n}", {"data": {"n": n}})
    acme_api.put("storage/tables/policies/records/policx", {"data": {}})
    seen, cursor = [], ""
    while True:
        answer = acme_api.get(f"storage/tables/policies/records?prefix=policy_&limit=2{cursor}")
        body = RecordPageOut.model_validate_json(answer.content)
        seen += [record.data["n"] for record in body.items]
        if body.next_cursor is None:
            break
        cursor = f"&cursor={body.next_cursor}"
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.line(77)
def test_a_cursor_of_another_query_table_or_tenant_is_refused(acme_api, globex_api):
    for n in range(3):
        acme_api.put(f"storage/tables/policies/records/a{n}", {"data": {}})
    cursor = acme_api.get("storage/tables/policies/records?prefix=a&limit=1").json()["next_cursor"]
    attempts = [
        acme_api.get(f"storage/tables/policies/records?limit=1&cursor={cursor}"),
        acme_api.get(f"storage/tables/others/records?prefix=a&cursor={cursor}"),
        globex_api.get(f"storage/tables/policies/records?prefix=a&cursor={cursor}"),
        acme_api.get(f"storage/tables/policies/records?prefix=a&cursor={cursor}x"),
        acme_api.get("storage/tables/policies/records?prefix=a&cursor=a1"),
    ]
    assert {(answer.status_code, answer.json()["error_code"]) for answer in attempts} == {(400, "INVALID_CURSOR")}


def test_an_increment_adds_within_its_bounds(acme_api):
    path = "storage/tables/budgets/records/openai/tokens/increment"
    first = acme_api.post(path, {"deltas": {"used": 8, "cost": "1.10"}, "ceilings": {"used": 10}})
    over = acme_api.post(path, {"deltas": {"used": 3}, "ceilings": {"used": 10}})
    under = acme_api.post(path, {"deltas": {"used": -9}, "floors": {"used": 0}})
    totals = TotalsOut.model_validate_json(first.content)
    assert (totals.key, totals.totals, totals.version) == ("openai/tokens", {"used": 8, "cost": "1.10"}, 1)
    assert (over.status_code, over.json()["error_code"], over.json()["used"], over.json()["limit"]) == (
        429,
        "QUOTA_EXCEEDED",
        8,
        10,
    )
    assert (under.status_code, under.json()["error_code"]) == (409, "CONFLICT")
    assert acme_api.get("storage/tables/budgets/records/openai/tokens").json()["data"] == {"used": 8, "cost": "1.10"}


@pytest.mark.line(135)
def test_an_increment_repeated_under_its_key_counts_once(acme_api):
    path, headers = "storage/tables/budgets/records/tokens/increment", {"Idempotency-Key": "call-1"}
    first = acme_api.post(path, {"deltas": {"used": 5}}, headers=headers)
    again = acme_api.post(path, {"deltas": {"used": 5}}, headers=headers)
    IdempotencyRecord.objects.all().delete()  # as if the process had died before it kept its answer
    after_a_crash = acme_api.post(path, {"deltas": {"used": 5}}, headers=headers)
    assert first.json() == again.json() == after_a_crash.json()
    assert acme_api.get("storage/tables/budgets/records/tokens").json()["data"] == {"used": 5}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"deltas": {}},
        {"deltas": {"a": True}},
        {"deltas": {"a": "x"}},
        {"deltas": {"a": "NaN"}},
        {"deltas": {"a": 1}, "max": 2},
    ],
)
def test_an_increment_that_adds_no_number_is_refused(acme_api, body):
    answer = acme_api.post("storage/tables/budgets/records/tokens/increment", body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_REQUEST")


def test_a_bound_without_its_delta_or_a_field_that_is_no_number_is_refused(acme_api):
    acme_api.put("storage/tables/budgets/records/tokens", {"data": {"name": "tokens"}})
    path = "storage/tables/budgets/records/tokens/increment"
    assert acme_api.post(path, {"deltas": {"a": 1}, "ceilings": {"b": 2}}).status_code == 400
    assert acme_api.post(path, {"deltas": {"name": 1}}).status_code == 400


def test_each_item_of_a_batch_has_an_outcome(acme_api):
    acme_api.put(RECORD, {"data": {}})
    items = [
        {"key": "new", "data": {"n": 1}},
        {"op": "put", "key": "p1", "data": {"n": 2}, "expected_version": 9},
        {"op": "delete", "key": "gone"},
        {"key": "a\tb", "data": {}},
    ]
    answer = acme_api.post("storage/tables/policies/batch", {"items": items})
    outcomes = BatchOut.model_validate_json(answer.content).items
    assert [(item.key, item.outcome, item.version, item.error_code) for item in outcomes] == [
        ("new", "stored", 1, None),
        ("p1", "error", None, "VERSION_CONFLICT"),
        ("gone", "deleted", None, None),
        ("a\tb", "error", None, "INVALID_KEY"),
    ]


@pytest.mark.parametrize(
    "items", [[], [{"key": "a"}], [{"op": "merge", "key": "a", "data": {}}], [{"key": "a", "data": {}}] * 2]
)
def test_a_batch_that_is_none_writes_nothing(acme_api, items):
    assert acme_api.post("storage/tables/policies/batch", {"items": items}).status_code == 400
    assert acme_api.get("storage/tables/policies/records").json() == {"items": [], "next_cursor": None}


def test_another_tenant_sees_nothing(acme_api, globex_api):
    acme_api.put(RECORD, {"data": {"secret": 1}})
    assert globex_api.get(RECORD).status_code == 404
    assert globex_api.get("storage/tables/policies/records").json()["items"] == []
    assert globex_api.delete(RECORD).status_code == 204
    globex_api.put(RECORD, {"data": {"other": 1}})
    assert acme_api.get(RECORD).json()["data"] == {"secret": 1}


def test_reading_and_writing_need_their_scopes(acme, acme_api, api):
    reader, writer = api(acme, scopes=["data:read"]), api(acme, scopes=["data:write"])
    increment = f"{RECORD}/increment"
    assert reader.put(RECORD, {"data": {}}).status_code == 403
    assert reader.delete(RECORD).status_code == 403
    assert reader.post(increment, {"deltas": {"n": 1}}).status_code == 403
    assert writer.get(RECORD).status_code == 403
    assert writer.post(increment, {"deltas": {"n": 1}}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": {}, "version": 3}, {"data": {"": 1}}])
def test_a_body_that_is_no_record_is_refused(acme_api, body):
    assert acme_api.put(RECORD, body).status_code == 400


def test_the_earlier_engines_upsert(acme_api):
    path = "/storage/tabular/policies/upsert"
    first = acme_api.post(path, {"table_name": "policies", "key": "p1", "data": {"n": 1}})
    second = acme_api.post(path, {"key": "p1", "data": {"n": 2}})
    other = acme_api.post(path, {"table_name": "settings", "key": "p1", "data": {"n": 3}})
    assert (first.status_code, first.json()["version"], second.json()["version"]) == (200, 1, 2)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (400, "table_name")
    assert acme_api.get(RECORD).json()["data"] == {"n": 2}


def test_a_decimal_stays_exact_through_increments(acme_api):
    path = "storage/tables/budgets/records/cost/increment"
    for _ in range(10):
        answer = acme_api.post(path, {"deltas": {"usd": "0.10"}})
    assert Decimal(answer.json()["totals"]["usd"]) == Decimal("1.00")
