"""The event stream's contract over the filesystem driver, and what its files look like."""

import json
import shutil

import pytest

from storage.errors import CursorGone
from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent
from tests.contract.stream_contract import StreamContract
from tests.storage.stores import FilesystemStores


@pytest.fixture
def open_streams(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    stores = FilesystemStores(tmp_path)
    yield lambda tenant="acme", folder="var": stores.open(EventStream, "event_stream", tenant, folder)
    stores.close()


class TestFilesystemStreams(StreamContract):
    backend = "filesystem"

    def test_a_stream_is_one_file_of_readable_lines(self, open_streams, tmp_path):
        open_streams().append("orders", [NewEvent("placed", {"total": 5}), NewEvent("paid", {})])
        log = tmp_path / "var/event_stream/acme/dev/_/orders/events.jsonl"
        [line] = log.read_text().splitlines()
        assert json.loads(line)["ops"][0]["data"]["data"] == {"total": 5}

    @pytest.mark.line(78)
    def test_a_cursor_outlives_a_move_of_the_data_to_another_root(self, open_streams, tmp_path):
        [event, _] = open_streams().append("orders", [NewEvent("placed", {}), NewEvent("paid", {})])
        (tmp_path / "var").rename(tmp_path / "moved")
        moved = open_streams(folder="moved")
        assert moved.resolve_after("orders", event.cursor) == 1
        assert [later.type for later in moved.list_after("orders", 1).events] == ["paid"]

    def test_a_stream_begun_anew_refuses_the_cursors_of_the_old_one(self, open_streams):
        [event] = open_streams().append("orders", [NewEvent("placed", {})])
        anew = open_streams(folder="anew")
        anew.append("orders", [NewEvent("placed", {}), NewEvent("paid", {})])
        with pytest.raises(CursorGone) as gone:
            anew.resolve_after("orders", event.cursor)
        assert (gone.value.reason, gone.value.earliest, gone.value.tail) == ("stream_replaced", 0, 2)

    def test_a_stream_restored_from_an_older_copy_refuses_the_cursors_beyond_its_end(self, open_streams, tmp_path):
        streams = open_streams()
        streams.append("orders", [NewEvent("placed", {})])
        shutil.copytree(tmp_path / "var", tmp_path / "copy")
        [event] = streams.append("orders", [NewEvent("paid", {})])
        with pytest.raises(CursorGone) as gone:
            open_streams(folder="copy").resolve_after("orders", event.cursor)
        assert (gone.value.reason, gone.value.tail) == ("stream_restored", 1)
