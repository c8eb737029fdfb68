"""Files of agents over the object store of the route: whole, moved safely at every point of failure, listed completely."""

import os
from typing import Any

import pytest

from northstar.context import RequestContext
from rules.errors import FileStoreError
from rules.files import FileStore
from storage.errors import BackendUnavailable
from storage.guard import ServedBy
from storage.opening import Adapter, store_over
from storage.registry import driver_class
from tests.object_places import OBJECT_BACKENDS, object_config

MANY = int(os.environ.get("NORTHSTAR_TEST_MANY_FILES", "250"))


class Breaking:
    """A driver that dies before or after one of its calls."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.dies: tuple[str, str] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if self.dies is None or name != self.dies[1]:
            return found

        def dying(*arguments: Any, **options: Any) -> Any:
            assert self.dies is not None
            when, self.dies = self.dies[0], None
            if when == "after":
                found(*arguments, **options)
            raise BackendUnavailable("The process died here.")

        return dying


def opened(driver: Any, tenant: str = "acme") -> FileStore:
    context = RequestContext(tenant, "dev", "lab")
    return FileStore(store_over("object_store", context, Adapter(driver, ()), ServedBy(1, 1, "filesystem")))


@pytest.fixture
def driver(settings, tmp_path):
    found = driver_class("object_store", "filesystem")
    made = found(found.Config(base_dir=str(tmp_path / "var"), durability="none"), mode="lab", epoch=1)
    yield made
    made.close()


@pytest.fixture(params=OBJECT_BACKENDS)
def files_on(request, settings):
    config = object_config(request, request.param)
    found = driver_class("object_store", request.param)
    made = found(found.Config.model_validate(config), mode="lab", epoch=1)
    yield made
    made.close()


def test_a_file_is_written_read_moved_and_listed_on_every_backend(files_on):
    files, others = opened(files_on), opened(files_on, "globex")
    files.write("in/pay roll é.csv", "ssn,pay\n1,€2.50\n")
    files.write("in/raw.bin", b"\x00\xff")
    files.move("in/pay roll é.csv", "done/2026/pay.csv")
    files.move("in/pay roll é.csv", "done/2026/pay.csv")  # whose answer was lost
    assert files.read("done/2026/pay.csv").decode() == "ssn,pay\n1,€2.50\n"
    assert (files.list_files("in/"), files.list_files()) == (["in/raw.bin"], ["done/2026/pay.csv", "in/raw.bin"])
    assert others.list_files() == []
    for missing in (lambda: files.read("in/none"), lambda: files.move("in/none", "in/raw.bin")):
        with pytest.raises(FileStoreError) as refusal:
            missing()
        assert (refusal.value.code, refusal.value.status) == ("NOT_FOUND", 404)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["copy", "delete"])
def test_a_move_that_dies_anywhere_loses_nothing_and_is_completed_when_done_again(driver, when, step):
    breaking = Breaking(driver)
    files = opened(breaking)
    files.write("in/a.csv", "the content")
    breaking.dies = (when, step)
    with pytest.raises(FileStoreError):
        files.move("in/a.csv", "done/a.csv")
    kept = files.list_files()
    assert kept
    assert all(files.read(path) == b"the content" for path in kept)
    files.move("in/a.csv", "done/a.csv")
    assert (files.list_files(), files.read("done/a.csv")) == (["done/a.csv"], b"the content")


def test_a_source_that_is_replaced_while_it_moves_is_kept(driver):
    breaking = Breaking(driver)
    files = opened(breaking)
    files.write("in/a.csv", "old")
    breaking.dies = ("before", "delete")
    with pytest.raises(FileStoreError):
        files.move("in/a.csv", "done/a.csv")
    files.write("in/a.csv", "new")
    files.move("in/a.csv", "done/a.csv")
    assert files.read("done/a.csv") == b"new"


def test_a_listing_of_many_files_is_complete(driver, monkeypatch):
    """In pages of a tenth, two and a half of them, as 2,500 files are in those of the services."""
    monkeypatch.setattr("rules.files.PAGE", MANY // 25 * 10)
    files = opened(driver)
    paths = [f"in/{number:05}.csv" for number in range(MANY)]
    for path in paths:
        files.write(path, b"x")
    assert files.list_files("in/") == paths
    assert len(files.list_files("in/0001")) == 10
