"""What the tests of the filesystem driver's own promises share: opening it, and looking at its files."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from northstar.modes import LAB
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.documents import Ref

COLLECTION = "tabular_store"
PARTITION = ("acme", "dev", "_", "orders")
BULKY = "x" * 20_000


def ref(key: str, partition: tuple[str, ...] = PARTITION) -> Ref:
    return Ref(COLLECTION, partition, key)


def driver(base_dir: Path | None = None, durability: Any = "none") -> FilesystemDocuments:
    config = FilesystemConfig(base_dir=str(base_dir) if base_dir else None, durability=durability)
    return FilesystemDocuments(config, mode=LAB, epoch=1)


def log_of(root: Path) -> Path:
    return root / COLLECTION / "acme" / "dev" / "_" / "orders.jsonl"


def lines_of(log: Path) -> list[dict[str, Any]]:
    content = log.read_bytes()
    assert not content or content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def everything(documents: FilesystemDocuments) -> dict[str, tuple[Any, int]]:
    """Fields and version of every document of the partition."""
    page = documents.scan(COLLECTION, PARTITION, limit=1000)
    assert page.cursor is None
    return {document.ref.key: (document.fields, document.version) for document in page.documents}


def index_rows(log: Path) -> list[tuple[Any, ...]]:
    """The index as stored, of a driver that is closed."""
    with closing(sqlite3.connect(log.with_suffix(".index"))) as connection:
        rows = connection.execute("SELECT key, offset, length, op, version, deleted, gone_at FROM docs ORDER BY key")
        upto = connection.execute("SELECT upto FROM meta").fetchone()
        return [upto, *rows.fetchall()]


def rebuilt_rows(log: Path, elsewhere: Path) -> list[tuple[Any, ...]]:
    """The index that the log alone gives."""
    copy = log_of(elsewhere)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(log.read_bytes())
    rebuilt = driver(elsewhere)
    rebuilt.get(ref("any"))
    rebuilt.close()
    return index_rows(copy)
