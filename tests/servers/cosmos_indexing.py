"""Indexing policies: which of them are valid, and which ORDER BY they can serve. The service refuses the rest."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.servers.cosmos_errors import bad_request

ETAG_PATH = {"path": '/"_etag"/?'}
ALWAYS_INDEXED = {("id",), ("_ts",)}
SEGMENT = re.compile(r'/(?:"([^"]+)"|([^/"]+))')
DIRECTIONS = {"ascending", "descending"}


def completed_policy(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a container's policy with the service's defaults. Raises a 400 for one that is not valid or not known here."""
    policy = {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [],
        **(given or {}),
    }
    unknown = policy.keys() - {"indexingMode", "automatic", "includedPaths", "excludedPaths", "compositeIndexes"}
    if unknown:
        raise bad_request(f"this server knows no {', '.join(sorted(unknown))} in an indexing policy")
    if policy["indexingMode"] not in {"consistent", "none"}:
        raise bad_request("indexingMode is neither consistent nor none")
    for entries in [policy["includedPaths"], policy["excludedPaths"], *policy.get("compositeIndexes", [])]:
        if not isinstance(entries, list) or not all(isinstance(entry.get("path"), str) for entry in entries):
            raise bad_request("an indexing policy lists objects, each with a path")
    _check_paths(policy)
    for composite in policy.get("compositeIndexes", []):
        _check_composite(composite)
    return policy


def _check_paths(policy: dict[str, Any]) -> None:
    listed = [entry["path"] for name in ("includedPaths", "excludedPaths") for entry in policy[name]]
    for path in listed:
        if not path.endswith(("/?", "/*")):
            raise bad_request(f"the indexing path {path} ends in neither /? nor /*")
    if policy["indexingMode"] == "none":
        return
    if "/*" not in listed:
        raise bad_request("the indexing policy must include or exclude the root path /*")
    if len(set(listed)) < len(listed):
        raise bad_request("the indexing policy names a path twice")
    if '/"_etag"/?' not in listed and "/_etag/?" not in listed:
        policy["excludedPaths"] = [*policy["excludedPaths"], ETAG_PATH]


def _check_composite(composite: Sequence[Mapping[str, Any]]) -> None:
    if len(composite) < 2:
        raise bad_request("a composite index has at least two paths")
    for part in composite:
        if part["path"].endswith(("/?", "/*")) or part.get("order", "ascending") not in DIRECTIONS:
            raise bad_request("a composite index has paths without /? and /*, each ascending or descending")


def _names(path: str) -> tuple[str, ...]:
    return tuple(quoted or plain for quoted, plain in SEGMENT.findall(path))


def is_indexed(policy: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether the value at a path is indexed: the most precise path that covers it decides, /? before /*."""
    if policy["indexingMode"] == "none":
        return False
    covering = [
        (len(names), names[-1] == "?", name == "includedPaths")
        for name in ("includedPaths", "excludedPaths")
        for names in (_names(entry["path"]) for entry in policy[name])
        if (names[-1] == "*" and path[: len(names) - 1] == names[:-1]) or names == (*path, "?")
    ]
    return path in ALWAYS_INDEXED or (bool(covering) and max(covering)[2])


def is_included_by_name(policy: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether the policy includes this very path: then items without it are in the index too, as undefined."""
    return any(_names(entry["path"]) == (*path, "?") for entry in policy["includedPaths"])


def check_order(policy: Mapping[str, Any], orders: Sequence[tuple[tuple[str, ...], bool]]) -> None:
    """Refuse an ORDER BY of these paths (each with whether it is descending) that no index can serve, as the service does."""
    if len(orders) > 1:
        if not any(_serves(composite, orders) for composite in policy.get("compositeIndexes", [])):
            raise bad_request(
                "The order by query does not have a corresponding composite index that it can be served from."
            )
        return
    for path, _ in orders:
        if not is_indexed(policy, path):
            raise bad_request("The index path corresponding to the specified order-by item is excluded.")


def _serves(composite: Sequence[Mapping[str, Any]], orders: Sequence[tuple[tuple[str, ...], bool]]) -> bool:
    """A composite index serves its own order and the reverse of all of it."""
    parts = [(_names(part["path"]), part.get("order", "ascending") == "descending") for part in composite]
    return parts in (list(orders), [(path, not descending) for path, descending in orders])
