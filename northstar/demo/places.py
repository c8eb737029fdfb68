"""The two places between which the demo's object route flips: two folders, or two prefixes of one bucket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

FIRST: Final = "demo/first"
SECOND: Final = "demo/second"


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects lie: a backend and its config, in which `field` tells the place from the other one, as `value`."""

    backend_type: str
    config: Mapping[str, Any] = field(repr=False)
    field: str
    value: str

    @property
    def is_folder(self) -> bool:
        """Whether one can look there without asking a service."""
        return self.backend_type == "filesystem"


def folder(path: str) -> Place:
    """Return a folder below NORTHSTAR_HOME."""
    return Place("filesystem", {"base_dir": path}, "base_dir", path)


def prefix(backend_type: str, config: Mapping[str, Any], path: str) -> Place:
    """Return a prefix of the backend's bucket, below the one that its config may have."""
    value = f"{config.get('prefix', '')}{path}/"
    return Place(backend_type, {**config, "prefix": value}, "prefix", value)
