"""Sessions and blackboards over the filesystem driver, and what their files look like."""

import json
from collections.abc import Iterator

import pytest

from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.kinds.sessions import NewMessage
from tests.contract.memory_contract import (
    BlackboardContract,
    MemoryIsolationContract,
    OpenMemory,
    SessionContract,
)
from tests.contract.memory_lab import opened_memory

backend = "filesystem"


@pytest.fixture
def open_memory(tmp_path, settings) -> Iterator[OpenMemory]:
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    config = FilesystemConfig(base_dir=str(tmp_path / "var"))
    with opened_memory(lambda: FilesystemDocuments(config, mode="lab", epoch=1), backend) as open_it:
        yield open_it


class TestSessions(SessionContract):
    def test_a_session_is_one_file_of_readable_lines(self, open_memory, tmp_path):
        memory = open_memory(user_id="ada", project_id="atlas")
        memory.sessions.append("s_1", [NewMessage("user", "hello"), NewMessage("assistant", "hi")])
        log = tmp_path / "var/memory_store/acme/dev/_/sessions/@ada/lab@atlas/s_1.jsonl"
        [line] = log.read_text().splitlines()
        assert [member["data"].get("content") for member in json.loads(line)["ops"]] == [None, "hello", "hi"]


class TestBlackboards(BlackboardContract):
    pass


class TestIsolation(MemoryIsolationContract):
    pass
