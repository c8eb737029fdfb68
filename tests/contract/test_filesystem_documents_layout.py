"""Where the filesystem driver's files lie, what stands in them, and that nothing leads out of the root."""

import json
import os
import resource
from pathlib import Path

import pytest

from northstar.errors import ForbiddenBackendClass
from northstar.modes import ENTERPRISE, SAAS, T_SYSTEM
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_cache import MOST_OPEN
from storage.backends.filesystem_config import FilesystemConfig
from storage.documents import Delete, Increment, Put, Ref
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.filesystem_lab import COLLECTION, PARTITION, driver, everything, lines_of, log_of, ref

backend = "filesystem"


@pytest.fixture
def documents(lab):
    opened = driver()
    yield opened
    opened.close()


def open_descriptors() -> list[str]:
    """What this process has open, by path."""
    return [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_stream_lies_where_people_look_for_it(documents, lab):
    documents.put(Ref("event_stream", ("acme", "dev", "squared2", "orders", "events"), "e"), {})
    documents.put(Ref("tabular_store", ("acme", "dev", "@apollo", "_", "orders"), "k"), {})
    logs = {name for name in files_below(lab) if name.endswith(".jsonl")}
    assert logs == {
        "event_stream/acme/dev/squared2/orders/events.jsonl",
        "tabular_store/acme/dev/@apollo/_/orders.jsonl",
    }


def test_names_that_a_file_system_would_fold_or_follow_are_escaped(documents, lab):
    for part in ("Orders", "..", "a.jsonl", "a/b", "caf\u00e9"):
        documents.put(Ref("t", (part,), "k"), {"part": part})
    assert {name for name in files_below(lab) if name.endswith(".jsonl")} == {
        "t/%4frders.jsonl",
        "t/%2e%2e.jsonl",
        "t/a%2ejsonl.jsonl",
        "t/a%2fb.jsonl",
        "t/caf%c3%a9.jsonl",
    }


def test_a_name_too_long_for_a_file_is_continued_in_a_folder(documents, lab):
    documents.put(Ref("t", ("n" * 450,), "k"), {})
    documents.put(Ref("t", ("n" * 198, "n" * 252), "k"), {"another": True})
    assert (lab / "t" / ("n" * 198 + "%+") / ("n" * 198 + "%+") / ("n" * 54 + ".jsonl")).is_file()
    assert documents.get(Ref("t", ("n" * 450,), "k")).fields == {}
    assert max(len(part) for name in files_below(lab) for part in name.split("/")) <= 255


def test_each_write_is_one_line_that_jq_can_read(documents, lab):
    documents.put(ref("a"), {"n": 1})
    documents.increment(ref("a"), {"n": 2}, operation_id="op-1")
    documents.write(COLLECTION, PARTITION, [Put("b", {"n": 1}), Increment("a", {"n": 1}), Delete("b")])
    documents.delete(ref("a"))
    put, increment, atomic, delete = lines_of(log_of(lab))
    assert (put["key"], put["data"], put["version"], put["epoch"]) == ("a", {"n": 1}, 1, 1)
    assert put["updated_at"].endswith("Z")
    assert put["operation_id"]
    assert (increment["data"], increment["added"], increment["operation_id"]) == ({"n": 3}, {"n": 2}, "op-1")
    assert [(op["key"], op["version"]) for op in atomic["ops"]] == [("b", 1), ("a", 3), ("b", 2)]
    assert (delete["key"], delete["deleted"], delete["version"]) == ("a", True, 4)


def test_reading_creates_nothing(documents, lab):
    assert documents.get(ref("k")) is None
    assert documents.scan(COLLECTION, PARTITION).documents == ()
    assert list(lab.iterdir()) == []


@pytest.mark.line(81)
def test_a_scan_opens_the_files_of_its_own_partition_only(documents, lab):
    other = ("acme", "dev", "_", "invoices")
    documents.put(ref("k", other), {})
    documents.put(ref("k"), {})
    documents.close()
    again = driver()
    again.scan(COLLECTION, PARTITION)
    opened = [path for path in open_descriptors() if path.startswith(str(lab))]
    again.close()
    assert any("orders" in link for link in opened)
    assert not any("invoices" in link for link in opened)


def test_more_partitions_than_may_be_open_are_all_served(documents):
    before = len(open_descriptors())
    partitions = [("acme", "dev", "_", f"table{number}") for number in range(MOST_OPEN + 20)]
    for partition in partitions:
        documents.put(ref("k", partition), {"table": partition[-1]})
    assert len(open_descriptors()) <= before + 8 * MOST_OPEN
    for partition in partitions:
        assert documents.get(ref("k", partition)).fields == {"table": partition[-1]}
    documents.close()
    assert len(open_descriptors()) <= before


@pytest.fixture
def outside(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("outside")
    (folder / "orders.jsonl").write_text("")
    return folder


@pytest.mark.parametrize("level", ["tabular_store", "tabular_store/acme", "tabular_store/acme/dev/_"])
def test_a_planted_link_to_a_folder_is_refused(documents, lab, outside, level):
    planted = lab / level
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.symlink_to(outside)
    for call in (lambda: documents.put(ref("k"), {}), lambda: documents.get(ref("k"))):
        with pytest.raises(BackendRejected, match="link"):
            call()
    assert files_below(outside) == {"orders.jsonl"}
    assert (outside / "orders.jsonl").read_text() == ""


@pytest.mark.parametrize("suffix", [".jsonl", ".lock", ".index", ".index-wal"])
def test_a_planted_link_to_a_file_is_refused(documents, lab, outside, suffix):
    folder = log_of(lab).parent
    folder.mkdir(parents=True)
    (folder / f"orders{suffix}").symlink_to(outside / "orders.jsonl")
    with pytest.raises(BackendRejected):
        documents.put(ref("k"), {})
    assert (outside / "orders.jsonl").read_bytes() == b""
    assert files_below(outside) == {"orders.jsonl"}


def test_a_link_in_the_place_of_an_unfinished_compaction_is_only_removed(documents, lab, outside):
    folder = log_of(lab).parent
    folder.mkdir(parents=True)
    (folder / "orders.compact").symlink_to(outside / "orders.jsonl")
    documents.put(ref("k"), {})
    assert not (folder / "orders.compact").is_symlink()
    assert (outside / "orders.jsonl").read_bytes() == b""


@pytest.mark.parametrize("mode", [SAAS, ENTERPRISE, T_SYSTEM])
def test_a_mode_that_is_sold_may_not_keep_files(mode):
    with pytest.raises(ForbiddenBackendClass, match=mode):
        FilesystemDocuments(FilesystemConfig(), mode=mode, epoch=1)


def test_a_closed_driver_says_so_and_closes_twice(documents):
    documents.put(ref("k"), {})
    documents.close()
    documents.close()
    for call in (
        lambda: documents.get(ref("k")),
        lambda: documents.put(ref("k"), {}),
        lambda: documents.scan(COLLECTION, PARTITION),
        documents.ping,
    ):
        with pytest.raises(BackendUnavailable, match="closed"):
            call()


def test_ping_and_prepare_make_the_root_and_leave_it_empty(lab):
    opened = driver(lab / "deep" / "root")
    opened.prepare()
    opened.ping()
    assert list((lab / "deep" / "root").iterdir()) == []
    opened.close()


def test_a_root_that_is_a_file_is_refused(lab):
    (lab / "file").write_text("")
    opened = driver(lab / "file")
    with pytest.raises(BackendRejected, match="file"):
        opened.ping()
    with pytest.raises(BackendRejected, match="file"):
        opened.put(ref("k"), {})
    opened.close()


def test_a_full_disk_stores_nothing_and_harms_nothing(documents, lab):
    documents.put(ref("a"), {"n": 1})
    size = log_of(lab).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        with pytest.raises(BackendUnavailable, match="file system"):
            documents.put(ref("b"), {"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log_of(lab).stat().st_size == size
    assert everything(documents) == {"a": ({"n": 1}, 1)}
    assert documents.put(ref("b"), {"n": 2}).version == 1


def test_values_that_json_lacks_are_readable_tags(documents, lab):
    documents.put(ref("k"), {"raw": b"ab", "big": 2**70})
    (line,) = lines_of(log_of(lab))
    assert json.dumps(line["data"]) == '{"raw": {"$bytes": "YWI="}, "big": {"$int": "1180591620717411303424"}}'
