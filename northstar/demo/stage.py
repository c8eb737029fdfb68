"""What every part of the demo needs: who asks, where the data lies, and the report to write into."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from northstar.demo.client import Client
from northstar.demo.places import Place
from northstar.demo.report import Report

ENV: Final = "demo"
"""Where the demo's routes are, unless it runs on another backend."""
EMPTY_ENV: Final = "demo-empty"
"""An environment that no route covers."""
OTHER_TENANT: Final = "t_demo_other"
API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Stage:
    """One run. `demo`, `other` and `operator` hold keys of t_demo, of another tenant and of t_system.

    `run` is new for every run: objects carry it in their keys, so no run sees what another has kept. `env` holds the routes;
    that of objects leads to `first`, and flips to `second`.
    """

    report: Report
    project: Path
    home: Path
    env: str
    run: str
    first: Place
    second: Place
    demo: Client
    other: Client
    operator: Client

    @property
    def prefix(self) -> str:
        """What the keys of this run's objects begin with."""
        return f"run-{self.run}/"

    def object_path(self, key: str) -> str:
        """Return the path of this run's object."""
        return f"{API}/storage/objects/{quote(self.prefix + key)}"


def stream_path(stream_id: str) -> str:
    """Return the path of a stream's events."""
    return f"{API}/storage/streams/{quote(stream_id)}/events"


def sha256(content: bytes) -> str:
    """Return the checksum as the API writes it."""
    return hashlib.sha256(content).hexdigest()


def checksums(root: Path) -> dict[str, str]:
    """Return the checksum of every regular file below a folder, by path."""
    return {str(path): sha256(path.read_bytes()) for path in _regular(root)}


def _regular(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())
