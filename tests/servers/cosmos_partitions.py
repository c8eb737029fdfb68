"""Partition keys: how a container defines them, how an item and a request header give them, and that the two agree."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_values import UNDEFINED, is_number, loads

MAX_KEY_BYTES = {1: 101, 2: 2048}
"""The longest partition key value by the definition's version ("Service quotas", per-item limits)."""
MAX_LEVELS = 3
"""Paths of a hierarchical partition key ("Hierarchical partition keys")."""
PATH = re.compile(r'(?:/[^/"]+|/"[^"]+")+')

Partition = str
"""A partition key value: the JSON list of its components, `{}` for an undefined one, as in the header."""


@dataclass(frozen=True)
class PartitionKey:
    """A container's definition: one path (Hash), or up to three from the outside in (MultiHash)."""

    paths: tuple[str, ...]
    kind: str
    version: int

    @classmethod
    def parsed(cls, given: Any) -> "PartitionKey":
        """Read a definition from a container's JSON, or raise a 400."""
        if not isinstance(given, Mapping) or given.keys() - {"paths", "kind", "version"} or not given.get("paths"):
            raise bad_request("partitionKey needs paths, and knows kind and version beside them, nothing else")
        key = cls(tuple(given["paths"]), given.get("kind", "Hash"), given.get("version", 1))
        most = {"Hash": 1, "MultiHash": MAX_LEVELS}.get(key.kind, 0)
        if len(key.paths) > most or key.version not in MAX_KEY_BYTES:
            raise bad_request(
                f"a partition key of kind {key.kind} and version {key.version} has no {len(key.paths)} paths"
            )
        if key.kind == "MultiHash" and key.version != 2:
            raise bad_request("a hierarchical partition key has version 2")
        if not all(PATH.fullmatch(path) for path in key.paths):
            raise bad_request("a partition key path is not valid")
        return key

    def as_json(self) -> dict[str, Any]:
        return {"paths": list(self.paths), "kind": self.kind, "version": self.version}

    @property
    def steps(self) -> list[list[str]]:
        """The property names of each path, from the item down."""
        return [[part.strip('"') for part in path[1:].split("/")] for path in self.paths]

    def from_header(self, header: str | None) -> Partition:
        """Read the header x-ms-documentdb-partitionkey. Raises a 400 unless it gives every component."""
        if header is None:
            raise bad_request("PartitionKey value must be supplied for this operation.")
        given = loads(header, "x-ms-documentdb-partitionkey")
        if not isinstance(given, list) or len(given) != len(self.paths):
            raise bad_request(f"the partition key has {len(self.paths)} components, the header gives {header}")
        return self._partition([UNDEFINED if component == {} else component for component in given])

    def of_document(self, document: Mapping[str, Any]) -> Partition:
        """Read the partition key of an item."""
        return self._partition([_at(document, steps) for steps in self.steps])

    def _partition(self, components: list[Any]) -> Partition:
        size = 0
        for component in components:
            if not (
                component is None or component is UNDEFINED or isinstance(component, str | bool) or is_number(component)
            ):
                raise bad_request("a partition key value is text, a number, a boolean, null or undefined")
            size += len(component.encode("utf-8", "surrogatepass")) if isinstance(component, str) else 0
        if size > MAX_KEY_BYTES[self.version]:
            raise bad_request(
                f"the partition key value has {size} bytes, at most {MAX_KEY_BYTES[self.version]} are allowed"
            )
        return json.dumps([{} if component is UNDEFINED else component for component in components])


def _at(document: Mapping[str, Any], steps: list[str]) -> Any:
    value: Any = document
    for step in steps:
        if not isinstance(value, Mapping) or step not in value:
            return UNDEFINED
        value = value[step]
    return value
