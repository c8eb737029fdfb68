"""Partial document update: add, set, replace, remove and incr on JSON pointer paths, all of them or none."""

import copy
from collections.abc import Callable
from typing import Any

from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_values import UNDEFINED, is_number, number

MAX_OPERATIONS = 10
"""Operations of one patch ("Partial document update", supported modes)."""
MAX_INDEX_DIGITS = 19
"""The service takes a path's part that is all digits for an index, and refuses longer ones."""
SYSTEM_PROPERTIES = {"_rid", "_self", "_etag", "_ts", "_attachments"}

Json = Any


def patched(document: dict[str, Json], operations: Any, fixed: list[list[str]]) -> dict[str, Json]:
    """Return a document with the operations applied in order, or raise a 400 where one fails. `fixed` holds the key's paths."""
    if not isinstance(operations, list) or not 1 <= len(operations) <= MAX_OPERATIONS:
        raise bad_request(f"a patch has 1 to {MAX_OPERATIONS} operations")
    result = copy.deepcopy(document)
    for operation in operations:
        _apply(result, operation, fixed)
    return result


def _apply(document: dict[str, Json], operation: Any, fixed: list[list[str]]) -> None:
    if not isinstance(operation, dict) or operation.keys() - {"op", "path", "value"}:
        raise bad_request("a patch operation has op, path and value, nothing else")
    verb, path = operation.get("op"), operation.get("path", "")
    if verb not in OPERATIONS:
        raise bad_request(f"this server knows no patch operation {verb!r}")
    if (verb == "remove") == ("value" in operation):
        raise bad_request(f"a patch operation {verb} {'has no' if verb == 'remove' else 'needs a'} value")
    steps = pointer(path)
    _check_allowed(steps, path, fixed)
    OPERATIONS[verb](_parent(document, steps, path), steps[-1], operation.get("value"), path)


def pointer(path: Any) -> list[str]:
    """Split a JSON pointer (RFC 6901): ~1 stands for a slash, ~0 for a tilde."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise bad_request(f"the patch path {path!r} does not begin with a slash")
    steps = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    for step in steps:
        if not step:
            raise bad_request(f"the patch path {path!r} has an empty part")
        if step.isdigit() and len(step) > MAX_INDEX_DIGITS:
            raise bad_request(f"Token('{step}') has length longer than expected")
    return steps


def _check_allowed(steps: list[str], path: str, fixed: list[list[str]]) -> None:
    if steps[0] == "id" or steps[0] in SYSTEM_PROPERTIES:
        raise bad_request(f"{path} may not be patched: it is the id or a system property")
    for key in fixed:
        shorter = min(len(key), len(steps))
        if key[:shorter] == steps[:shorter]:
            raise bad_request(f"{path} may not be patched: it holds the partition key")


def _parent(document: Json, steps: list[str], path: str) -> Json:
    place = document
    for step in steps[:-1]:
        place = _child(place, step)
        if not isinstance(place, dict | list):
            raise bad_request(f"the patch path {path} leads through nothing, or through a plain value")
    return place


def _child(place: Json, step: str) -> Json:
    if isinstance(place, list):
        return place[int(step)] if step.isdigit() and int(step) < len(place) else UNDEFINED
    return place.get(step, UNDEFINED)


def _index(array: list[Json], step: str, path: str, most: int) -> int:
    if not step.isdigit() or int(step) > most:
        raise bad_request(f"the patch path {path} is no place in an array of {len(array)}")
    return int(step)


def _add(place: Json, step: str, value: Json, path: str) -> None:
    if isinstance(place, dict):
        place[step] = value
    else:
        place.insert(len(place) if step == "-" else _index(place, step, path, len(place)), value)


def _set(place: Json, step: str, value: Json, path: str) -> None:
    if isinstance(place, list) and step.isdigit() and int(step) < len(place):
        place[int(step)] = value
    else:
        _add(place, step, value, path)


def _replace(place: Json, step: str, value: Json, path: str) -> None:
    if _child(place, step) is UNDEFINED:
        raise bad_request(f"the patch path {path} has no value to replace")
    _set(place, step, value, path)


def _remove(place: Json, step: str, value: Json, path: str) -> None:
    if _child(place, step) is UNDEFINED:
        raise bad_request(f"the patch path {path} has no value to remove")
    del place[step if isinstance(place, dict) else int(step)]


def _increment(place: Json, step: str, value: Json, path: str) -> None:
    current = _child(place, step)
    if current is UNDEFINED and isinstance(place, dict):
        current = 0
    if not (is_number(current) and is_number(value)):
        raise bad_request(f"incr of {path} needs a number, and a number there or nothing")
    _set(place, step, number(float(current) + float(value)), path)


OPERATIONS: dict[str, Callable[[Json, str, Json, str], None]] = {
    "add": _add,
    "incr": _increment,
    "remove": _remove,
    "replace": _replace,
    "set": _set,
}
