"""Field paths: written as text with backticks, used to read, set and remove what lies in nested maps."""

import re

from tests.servers.firestore_errors import invalid
from tests.servers.firestore_messages import DocumentMessage, Fields, ValueMessage
from tests.servers.firestore_names import RESERVED

FieldPath = tuple[str, ...]

NAME: FieldPath = ("__name__",)
"""The path that means the document's own name in a query."""
FIELD_BYTES = 1500

_SEGMENT = re.compile(r"([a-zA-Z_][a-zA-Z_0-9]*)|`((?:[^`\\]|\\.)+)`", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_path(text: str) -> FieldPath:
    """Return the names along a field path. `__name__` and what the documented syntax does not allow are refused."""
    names, position = [], 0
    while match := _SEGMENT.match(text, position):
        names.append(match.group(1) or _ESCAPE.sub(r"\1", match.group(2)))
        position = match.end() + 1
        if text[match.end() : position] != ".":
            break
    if not names or position <= len(text):
        raise invalid(f"{text[:60]!r} is not a field path")
    path = tuple(names)
    check_path(path)
    return path


def parse_query_path(text: str) -> FieldPath:
    """Return the names along a field path of a query, where `__name__` alone means the document's name."""
    return NAME if text == NAME[0] else parse_path(text)


def check_path(path: FieldPath) -> None:
    """Refuse reserved, empty and overlong names of fields, and overlong paths."""
    for name in path:
        if not name or RESERVED.fullmatch(name):
            raise invalid(f"the field name {name!r} is empty or reserved")
    if len(".".join(path).encode()) > FIELD_BYTES:
        raise invalid(f"the field path {path[0][:20]!r}… is longer than {FIELD_BYTES} bytes")


def get_field(fields: Fields, path: FieldPath) -> ValueMessage | None:
    """Return the value at a path, None when there is none."""
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            return None
        fields = fields[name].map_value.fields
    return fields.get(path[-1])


def set_field(fields: Fields, path: FieldPath, value: ValueMessage) -> None:
    """Put a copy of a value at a path. What is in the way and is no map becomes one."""
    for name in path[:-1]:
        fields[name].map_value.SetInParent()
        fields = fields[name].map_value.fields
    fields[path[-1]].CopyFrom(value)


def remove_field(fields: Fields, path: FieldPath) -> None:
    """Remove the value at a path, if there is one. Maps that become empty stay."""
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            return
        fields = fields[name].map_value.fields
    if path[-1] in fields:
        del fields[path[-1]]


def projected(document: DocumentMessage, paths: list[FieldPath]) -> DocumentMessage:
    """Return a copy of a document with the named fields alone. Fields that it does not have are not invented."""
    copy = type(document)(name=document.name, create_time=document.create_time, update_time=document.update_time)
    for path in paths:
        if path != NAME and (value := get_field(document.fields, path)) is not None:
            set_field(copy.fields, path, value)
    return copy
