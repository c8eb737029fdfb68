"""An audit entry can be neither overwritten nor deleted: not by the kind, over REST, through another kind, or past the kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from northstar.errors import Forbidden
from storage.documents import ABSENT, ANY, BulkPut, Delete, Increment, Put, Ref
from storage.kinds.rules_layout import AUDIT
from storage.opening import open_store
from storage.registry import KINDS
from tests.rules.places import Place, place_on

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "storage/rules/audit"
ENTRY = {"entry": {"what": "approved", "total": "12.50"}, "entry_id": "e1", "at": "2026-03-01T12:00:00.000000Z"}


@pytest.fixture
def place(settings, tmp_path):
    with place_on("filesystem", {"base_dir": str(tmp_path / "var")}) as made:
        yield made


@pytest.fixture
def kept(place: Place) -> tuple[Any, Ref]:
    """The guarded documents below the store, and the entry in them."""
    rules = place.open()
    rules.append_audit_entry({"what": "approved"}, entry_id="e1", at=AT)
    documents = rules._documents._documents
    (stored,) = documents.scan(AUDIT, ("DATE", "2026-03-01")).documents
    return documents, stored.ref


def test_past_the_kind_every_write_but_the_first_is_refused_before_the_backend_hears_of_it(kept, place):
    documents, ref = kept
    before, asked = documents.get(ref), [list(driver.calls) for driver in place.drivers]
    soon = datetime.now(UTC) + timedelta(hours=1)
    for write in (
        lambda: documents.put(ref, {"what": "refused"}),
        lambda: documents.put(ref, {"what": "refused"}, expect=before.version),
        lambda: documents.put(Ref(ref.collection, ref.partition, "new"), {}, expect=ABSENT, expires_at=soon),
        lambda: documents.delete(ref),
        lambda: documents.delete(ref, expect=before.version),
        lambda: documents.increment(ref, {"n": 1}),
        lambda: documents.write(ref.collection, ref.partition, [Put(ref.key, {}, ANY)]),
        lambda: documents.write(ref.collection, ref.partition, [Put("new", {}, ABSENT), Delete(ref.key)]),
        lambda: documents.write(ref.collection, ref.partition, [Increment(ref.key, {"n": 1})]),
    ):
        with pytest.raises(Forbidden, match="append-only"):
            write()
    (outcome,) = documents.put_many([BulkPut(ref, {"what": "refused"})])
    assert isinstance(outcome, Forbidden)
    assert all("put" not in driver.calls[len(old) :] for driver, old in zip(place.drivers, asked, strict=True))
    assert documents.get(ref) == before


def test_over_rest_there_is_no_way_but_to_append(acme_api):
    first = acme_api.post(URL, ENTRY)
    assert (first.status_code, first.json()["actor"].startswith("key:")) == (201, True)
    again = acme_api.post(URL, {**ENTRY, "entry": {"what": "refused"}})
    assert (again.status_code, again.json()["error_code"]) == (409, "ALREADY_EXISTS")
    for method in ("PUT", "PATCH", "DELETE"):
        assert acme_api.request(method, URL, ENTRY).status_code == 405
        assert acme_api.request(method, f"{URL}/e1", ENTRY).status_code == 404
    (entry,) = acme_api.get(f"{URL}?date=2026-03-01").json()["items"]
    assert entry == first.json()


def test_a_repeated_call_appends_once_and_a_day_is_listed_in_pages(acme_api):
    for number in (1, 1, 2, 3):
        assert (
            acme_api.post(URL, {"entry": {"n": number}}, headers={"Idempotency-Key": f"k{number}"}).status_code == 201
        )
    seen, cursor = [], ""
    while cursor is not None:
        page = acme_api.get(f"{URL}?limit=2{cursor and f'&cursor={cursor}'}").json()
        seen += [one["entry"]["n"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [1, 2, 3]


def test_no_other_kind_can_name_the_collection(acme_api, lab):
    """A kind's collections are its own, and begin every physical key: a table of that name is a table of the tabular store."""
    acme_api.post(URL, ENTRY)
    (log,) = [path for path in lab.rglob("*.jsonl") if AUDIT in path.parts]
    before = log.read_bytes()
    for table in (AUDIT, f"../{AUDIT}", "DATE"):
        acme_api.put(f"storage/tables/{table.replace('/', '%2F')}/records/2026-03-01", {"data": {"n": 1}})
        acme_api.delete(f"storage/tables/{table.replace('/', '%2F')}/records/2026-03-01")
    acme_api.put(f"storage/objects/{AUDIT}/acme/dev/_/DATE/2026-03-01.jsonl", b"overwritten")
    assert log.read_bytes() == before
    assert len(acme_api.get(f"{URL}?date=2026-03-01").json()["items"]) == 1
    names = [name for kind in KINDS.values() for name in kind.collections]
    assert len(names) == len(set(names))


def test_a_route_of_another_kind_into_the_same_folder_meets_nothing_of_it(acme_api, operator_api, lab):
    acme_api.post(URL, ENTRY)
    (log,) = [path for path in lab.rglob("*.jsonl") if AUDIT in path.parts]
    before = log.read_bytes()
    for number, part in enumerate(log.relative_to(lab).parents):
        route = {"resource_kind": "tabular_store", "tenant_id": "acme", "env": "dev", "project_id": f"p{number}"}
        made = operator_api.post(
            "routing/routes", {**route, "backend_type": "filesystem", "config": {"base_dir": str(part)}}
        )
        assert made.status_code == 201, made.content
        for table in ("DATE", "2026-03-01", AUDIT):
            put = acme_api.put(
                f"storage/tables/{table}/records/{AT.isoformat()}", {"data": {}}, headers={"X-Project-Id": f"p{number}"}
            )
            assert put.status_code == 200
    assert log.read_bytes() == before


def test_the_guard_knows_the_collection_whoever_opens_it(acme_api):
    """Also a store of another kind over the same driver has no way to it."""
    from northstar.context import RequestContext  # noqa: PLC0415

    tables = open_store("tabular_store", RequestContext("acme", "dev", "lab"))
    with pytest.raises(Forbidden):
        tables._documents.delete(Ref(AUDIT, ("DATE", "2026-03-01"), "k"))
