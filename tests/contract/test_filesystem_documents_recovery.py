"""The log is the truth: whatever happened to its end or to its index, what was acknowledged is served and nothing else."""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from storage.backends import filesystem_files
from storage.documents import ABSENT, Put
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.filesystem_lab import (
    BULKY,
    COLLECTION,
    PARTITION,
    driver,
    everything,
    index_rows,
    lines_of,
    log_of,
    rebuilt_rows,
    ref,
)

TWO_DAYS = timedelta(days=2)


@pytest.fixture
def documents(lab):
    opened = driver()
    yield opened
    opened.close()


def fill(root: Path | None = None) -> None:
    """A partition with some history, closed."""
    opened = driver(root)
    for number in range(5):
        opened.put(ref(f"k{number}"), {"n": number})
    opened.increment(ref("k1"), {"n": 10}, operation_id="op-1")
    opened.write(COLLECTION, PARTITION, [Put("a", {"n": 1}), Put("b", {"n": 2})])
    opened.delete(ref("k2"))
    opened.close()


FILLED = {"k0": ({"n": 0}, 1), "k1": ({"n": 11}, 2), "k3": ({"n": 3}, 1), "k4": ({"n": 4}, 1)}
FILLED |= {"a": ({"n": 1}, 1), "b": ({"n": 2}, 1)}


@pytest.mark.parametrize("known", [False, True])
def test_a_torn_last_line_is_dropped_wherever_it_is_torn(lab, known):
    fill()
    if not known:
        log_of(lab).with_suffix(".index").unlink()
    whole = log_of(lab).read_bytes()
    torn = b'{"key":"new","data":{"n":9},"version":1,"updated_at":"2026-01-01T00:00:00.000000Z"}'
    for cut in range(1, len(torn) + 1):
        log_of(lab).write_bytes(whole + torn[:cut])
        opened = driver()
        assert everything(opened) == FILLED
        opened.close()
    opened = driver()
    assert opened.put(ref("new"), {"n": 1}, expect=ABSENT).version == 1
    opened.close()
    assert lines_of(log_of(lab))[-1]["data"] == {"n": 1}
    assert log_of(lab).read_bytes().startswith(whole)


def test_a_torn_line_is_also_dropped_by_a_writer_that_was_open_meanwhile(documents, lab):
    documents.put(ref("a"), {"n": 1})
    with log_of(lab).open("ab") as log:
        log.write(b'{"key":"b","data":')
    documents.put(ref("c"), {"n": 2})
    assert [line["key"] for line in lines_of(log_of(lab))] == ["a", "c"]
    assert everything(documents) == {"a": ({"n": 1}, 1), "c": ({"n": 2}, 1)}


def test_a_last_line_that_is_no_json_is_dropped(documents, lab):
    documents.put(ref("a"), {})
    with log_of(lab).open("ab") as log:
        log.write(b"\0\0\0garbage\n")
    assert everything(documents) == {"a": ({}, 1)}
    assert [line["key"] for line in lines_of(log_of(lab))] == ["a"]


@pytest.mark.parametrize(
    "damage", [b"garbage\n", b'{"unknown":1}\n', b"[]\n", b'{"key":"k","version":"1","data":{}}\n']
)
def test_a_damaged_line_in_the_middle_is_named_and_not_skipped(documents, lab, damage):
    fill()
    before, after = log_of(lab).read_bytes().split(b"\n", 1)
    damaged = before + b"\n" + damage + after
    log_of(lab).write_bytes(damaged)
    for call in (lambda: documents.get(ref("k1")), lambda: documents.put(ref("k1"), {}), lambda: everything(documents)):
        with pytest.raises(
            BackendRejected,
            match=rf"^tabular_store/acme/dev/_/orders\.jsonl has a damaged line at byte {len(before) + 1}\.",
        ):
            call()
    assert log_of(lab).read_bytes() == damaged


def test_whole_lines_that_no_index_knows_are_served(documents, lab):
    """A writer was killed between its append and its index."""
    fill(lab / "other")
    documents.put(ref("first"), {})
    with log_of(lab).open("ab") as log:
        log.write(log_of(lab / "other").read_bytes())
    assert everything(documents) == FILLED | {"first": ({}, 1)}


@pytest.mark.parametrize("harm", ["removed", "removed with its wal", "emptied", "garbage", "cut", "another's"])
def test_a_harmed_index_is_made_anew(lab, harm):
    fill()
    index = log_of(lab).with_suffix(".index")
    intact = index_rows(log_of(lab))
    match harm:
        case "removed":
            index.unlink()
            index.with_name("orders.index-wal").write_bytes(b"left over")
        case "removed with its wal":
            index.unlink()
        case "emptied":
            index.write_bytes(b"")
        case "garbage":
            index.write_bytes(os.urandom(8192))
        case "cut":
            index.write_bytes(index.read_bytes()[:5000])
        case "another's":
            fill(lab / "other")
            shutil.copy(log_of(lab / "other").with_suffix(".index"), index)
    opened = driver()
    assert everything(opened) == FILLED
    assert opened.increment(ref("k1"), {"n": 10}, operation_id="op-1").values == {"n": 11}
    opened.close()
    assert index_rows(log_of(lab)) == intact


def test_an_index_that_is_garbled_under_an_open_driver_is_made_anew(documents, lab):
    fill()
    assert everything(documents) == FILLED
    index = log_of(lab).with_suffix(".index")
    with index.open("r+b") as file:
        file.write(os.urandom(index.stat().st_size))
    documents.put(ref("later"), {})
    assert everything(documents) == FILLED | {"later": ({}, 1)}


def misplace(log: Path, key: bytes) -> None:
    """Let the index name a wrong place for one key, behind the driver's back."""
    with closing(sqlite3.connect(log.with_suffix(".index"))) as connection, connection:
        connection.execute("UPDATE docs SET offset = offset + 1 WHERE key = ?", (key,))


def test_an_index_that_names_a_wrong_place_is_made_anew(documents, lab):
    documents.put(ref("a"), {"n": 1})
    misplace(log_of(lab), b"a")
    assert documents.get(ref("a")).fields == {"n": 1}
    misplace(log_of(lab), b"a")
    assert everything(documents) == {"a": ({"n": 1}, 1)}
    misplace(log_of(lab), b"a")
    assert documents.increment(ref("a"), {"n": 1}).values == {"n": 2}


def test_a_compaction_that_meets_a_wrong_index_loses_nothing(documents, lab):
    documents.put(ref("a"), {"n": 1})
    rewrite(documents, 50)
    misplace(log_of(lab), b"a")
    rewrite(documents, 10)
    assert everything(documents) == {"a": ({"n": 1}, 1), "bulky": ({"n": 9, "text": BULKY}, 60)}


def test_a_log_restored_from_a_backup_is_served_as_restored(documents, lab):
    documents.put(ref("a"), {"n": 1})
    backup = lab / "backup"
    shutil.copy(log_of(lab), backup)
    documents.put(ref("a"), {"n": 2})
    documents.put(ref("b"), {})
    backup.replace(log_of(lab))
    assert everything(documents) == {"a": ({"n": 1}, 1)}
    assert documents.put(ref("a"), {"n": 3}).version == 2


def test_a_removed_folder_is_begun_anew(documents, lab):
    documents.put(ref("a"), {})
    shutil.rmtree(log_of(lab).parent)
    assert documents.get(ref("a")) is None
    assert documents.put(ref("b"), {}).version == 1
    assert everything(documents) == {"b": ({}, 1)}


def test_the_index_equals_the_log(lab):
    fill()
    assert index_rows(log_of(lab)) == rebuilt_rows(log_of(lab), lab / "copy")


def rewrite(documents, times: int = 120) -> None:
    """Supersede enough bytes for a compaction."""
    for number in range(times):
        documents.put(ref("bulky"), {"n": number, "text": BULKY})


def test_compaction_drops_superseded_lines_and_nothing_else(documents, lab):
    fill()
    rewrite(documents)
    assert log_of(lab).stat().st_size < 1_100_000 < 120 * len(BULKY)
    assert everything(documents) == FILLED | {"bulky": ({"n": 119, "text": BULKY}, 120)}
    assert documents.increment(ref("k1"), {"n": 10}, operation_id="op-1").values == {"n": 11}
    assert documents.put(ref("k2"), {}).version == 3
    documents.close()
    assert index_rows(log_of(lab)) == rebuilt_rows(log_of(lab), lab / "copy")


def test_operation_ids_and_tombstones_survive_compaction_and_the_loss_of_the_index(lab):
    fill()
    opened = driver()
    rewrite(opened)
    opened.close()
    log_of(lab).with_suffix(".index").unlink()
    again = driver()
    assert again.increment(ref("k1"), {"n": 10}, operation_id="op-1").values == {"n": 11}
    assert again.put(ref("k2"), {}, expect=ABSENT).version == 3
    again.close()


def test_old_tombstones_become_a_floor_and_no_version_is_used_twice(documents, lab):
    for _ in range(4):
        documents.put(ref("gone"), {})
    documents.delete(ref("gone"))
    documents.put(ref("expired"), {}, expires_at=datetime.now(UTC) + timedelta(hours=1))
    with time_machine.travel(datetime.now(UTC) + TWO_DAYS):
        rewrite(documents)
        assert {"floor": 5} in lines_of(log_of(lab))
        assert not any(line.get("key") in {"gone", "expired"} for line in lines_of(log_of(lab)))
        assert documents.put(ref("gone"), {}, expect=ABSENT).version == 6
        log_of(lab).with_suffix(".index").unlink()
        again = driver()
        assert again.put(ref("expired"), {}, expect=ABSENT).version == 6
        again.close()


def test_operation_ids_are_forgotten_after_a_day(documents):
    documents.increment(ref("k"), {"n": 1}, operation_id="op-1")
    with time_machine.travel(datetime.now(UTC) + TWO_DAYS):
        assert documents.increment(ref("k"), {"n": 1}, operation_id="op-1").values == {"n": 2}


def test_a_second_driver_sees_a_compaction_of_the_first(documents):
    reader = driver()
    documents.put(ref("a"), {"n": 1})
    assert reader.get(ref("a")).fields == {"n": 1}
    rewrite(documents)
    assert reader.get(ref("a")).fields == {"n": 1}
    assert reader.get(ref("bulky")).fields["n"] == 119
    assert reader.put(ref("a"), {"n": 2}).version == 2
    assert documents.get(ref("a")).fields == {"n": 2}
    reader.close()


def test_a_crash_between_rename_and_index_is_noticed(lab):
    fill()
    log = log_of(lab)
    compacted = log.with_suffix(".compact")
    kept = [line for line in log.read_bytes().splitlines(keepends=True) if b'"k2"' not in line]
    compacted.write_bytes(b"".join(kept))
    compacted.replace(log)
    opened = driver()
    assert everything(opened) == {key: value for key, value in FILLED.items() if key != "k2"}
    opened.close()


def test_an_unfinished_compaction_is_removed_by_the_next_writer(lab):
    fill()
    leftover = log_of(lab).with_suffix(".compact")
    leftover.write_bytes(b'{"key":"never"')
    opened = driver()
    opened.put(ref("k9"), {})
    opened.close()
    assert not leftover.exists()


def test_a_held_lock_stops_writers_after_a_while_and_readers_never(documents, lab, monkeypatch):
    monkeypatch.setattr(filesystem_files, "LOCK_SECONDS", 0.05)
    documents.put(ref("a"), {"n": 1})
    with log_of(lab).with_suffix(".lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with log_of(lab).open("ab") as log:
            log.write(b'{"key":"b"')
        assert documents.get(ref("a")).fields == {"n": 1}
        assert everything(documents) == {"a": ({"n": 1}, 1)}
        with pytest.raises(BackendUnavailable, match="locked"):
            documents.put(ref("a"), {"n": 2})
    assert documents.put(ref("a"), {"n": 2}).version == 2
