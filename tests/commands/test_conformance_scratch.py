"""What a conformance run writes lies where no tenant can look, and is found and removed even when the run was killed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from northstar.conformance.scratch import MARK, BlobScratch, DocumentScratch
from northstar.modes import LAB
from routing.patterns import TENANT_PATTERN
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.backends.local_files import LocalBlobs
from storage.blob_guard import GuardedBlobs
from storage.documents import BulkPut, Increment, Put, Ref
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.opening import Adapter

ACME = Scope("acme", "dev")
SERVED_BY = ServedBy(1, 1, "filesystem")
PARTITION = ("orders",)


@dataclass
class Service:
    """A service under test: what opens a run's scratch on it, and how to write and read there."""

    adapter: Adapter
    scratch_class: Any

    def scratch(self, run: str) -> Any:
        return self.scratch_class(self.adapter, SERVED_BY, run)

    def tenants_own(self) -> Any:
        guard = GuardedDocuments if self.scratch_class is DocumentScratch else GuardedBlobs
        return guard(self.adapter.driver, scope=ACME, served_by=SERVED_BY)

    def write(self, store: Any, count: int = 3) -> None:
        for number in range(count):
            if isinstance(store, GuardedDocuments):
                store.put(Ref("contract", PARTITION, f"k{number}"), {"n": number})
            else:
                store.put(f"k{number}", [b"data"], content_type="text/plain")

    def keys(self, store: Any) -> list[str]:
        if isinstance(store, GuardedDocuments):
            return [document.ref.key for document in store.scan("contract", PARTITION, limit=1000).documents]
        return [info.key for info in store.list().blobs]


@pytest.fixture(params=[(FilesystemDocuments, DocumentScratch), (LocalBlobs, BlobScratch)], ids=["documents", "blobs"])
def service(request, lab) -> Iterator[Service]:
    driver_class, scratch_class = request.param
    driver = driver_class(FilesystemConfig(durability="none"), mode=LAB, epoch=1)
    yield Service(Adapter(driver, ()), scratch_class)
    driver.close()


def test_no_tenant_can_have_the_name_of_a_scratch_place():
    assert not re.match(TENANT_PATTERN, MARK)


def test_a_run_is_cleaned_and_nothing_else(service):
    first, second = service.scratch("11111111"), service.scratch("22222222")
    stores = [service.tenants_own(), first.open(1, ACME), second.open(1, ACME)]
    for store in stores:
        service.write(store)
    first.clean()
    assert [len(service.keys(store)) for store in stores] == [3, 0, 3]


def test_two_places_and_two_scopes_share_nothing(service):
    scratch = service.scratch("11111111")
    service.write(scratch.open(1, ACME))
    for other in (
        scratch.open(2, ACME),
        scratch.open(1, Scope("globex", "dev")),
        scratch.open(1, Scope("acme", "prod")),
    ):
        assert service.keys(other) == []
    scratch.clean()


def test_what_killed_runs_have_left_is_found_by_another_process_and_removed(service):
    left = [service.scratch(run).open(1, ACME) for run in ("11111111", "22222222")]
    for store in left:
        service.write(store)
    service.write(service.tenants_own())
    later = service.scratch("33333333")
    assert later.clean_all() == ["11111111", "22222222"]
    assert later.clean_all() == []
    assert [service.keys(store) for store in left] == [[], []]
    assert len(service.keys(service.tenants_own())) == 3


def test_more_than_one_page_is_removed(service):
    scratch = service.scratch("11111111")
    store = scratch.open(1, ACME)
    service.write(store, 120)
    scratch.clean()
    assert service.keys(store) == []


def test_every_way_to_write_is_noted_first(lab):
    driver = FilesystemDocuments(FilesystemConfig(durability="none"), mode=LAB, epoch=1)
    scratch = DocumentScratch(Adapter(driver, ()), SERVED_BY, "11111111")
    documents = scratch.open(1, ACME)
    documents.put_many([BulkPut(Ref("contract", ("bulk",), "k"), {})])
    documents.write("contract", ("atomic",), [Put("k", {}), Increment("n", {"n": 1})])
    documents.increment(Ref("contract", ("counter",), "k"), {"n": 1})
    scratch.clean()
    for name in ("bulk", "atomic", "counter"):
        assert documents.scan("contract", (name,)).documents == ()
    driver.close()
