"""What a document may hold, in the numbers of the service's page of quotas and limits."""

from tests.servers.firestore_errors import invalid, unknown
from tests.servers.firestore_field_settings import CONTAINS, FieldSettings
from tests.servers.firestore_fields import FieldPath, check_path
from tests.servers.firestore_messages import DocumentMessage, Fields, ValueMessage
from tests.servers.firestore_names import Path, bytes_of, parse_document
from tests.servers.firestore_values import RANKS

DOCUMENT_BYTES = 1_048_576
VALUE_BYTES = DOCUMENT_BYTES - 89
REQUEST_BYTES = 10 * 1_048_576
NESTING = 20
INDEX_ENTRIES = 40_000
TRANSFORMS = 500

NAME_OVERHEAD = 16
DOCUMENT_OVERHEAD = 32
FIXED_BYTES = {
    "null_value": 1,
    "boolean_value": 1,
    "integer_value": 8,
    "double_value": 8,
    "timestamp_value": 8,
    "geo_point_value": 16,
}
"""Bytes that a value counts for, from the service's page of storage size calculations."""

_SECONDS = range(-62_135_596_800, 253_402_300_800)
"""The years 1 to 9999."""


def check_fields(fields: Fields) -> None:
    """Refuse names, values and nesting that no document may have. Times are cut to microseconds in place."""
    _check_map(fields, (), 0)


def check_document(document: DocumentMessage, path: Path, settings: FieldSettings) -> None:
    """Refuse a document that is too large, or that has too many entries in its automatic indexes."""
    size = DOCUMENT_OVERHEAD + _name_bytes(path) + _map_bytes(document.fields)
    if size > DOCUMENT_BYTES:
        raise invalid(f"the document is {size} bytes, more than {DOCUMENT_BYTES}")
    entries = _entries(document.fields, (), path[-2], settings)
    if entries > INDEX_ENTRIES:
        raise invalid(
            f"the document has {entries} index entries, more than {INDEX_ENTRIES}; exempt fields from indexes"
        )


def _check_map(fields: Fields, path: FieldPath, depth: int) -> None:
    for name in fields:
        check_path((*path, name))
        _check_value(fields[name], (*path, name), depth)


def _check_value(value: ValueMessage, path: FieldPath, depth: int) -> None:
    match value.WhichOneof("value_type"):
        case None:
            raise invalid(f"the field {path[-1]!r} has no value")
        case "array_value" | "map_value" if depth >= NESTING:
            raise invalid(f"the field {path[0]!r} is nested deeper than {NESTING}")
        case "map_value":
            _check_map(value.map_value.fields, path, depth + 1)
        case "array_value":
            for item in value.array_value.values:
                check_element(item)
                _check_value(item, path, depth + 1)
        case "string_value" if len(value.string_value.encode()) > VALUE_BYTES:
            raise invalid(f"the field {path[-1]!r} is longer than {VALUE_BYTES} bytes")
        case "bytes_value" if len(value.bytes_value) > VALUE_BYTES:
            raise invalid(f"the field {path[-1]!r} is longer than {VALUE_BYTES} bytes")
        case kind:
            _check_scalar(kind, value)


def check_element(item: ValueMessage) -> None:
    """Refuse an array as an element of an array."""
    if item.WhichOneof("value_type") == "array_value":
        raise invalid("an array cannot hold an array")


def _check_scalar(kind: str, value: ValueMessage) -> None:
    if kind not in RANKS:
        raise unknown(f"values of the kind {kind}")
    if kind == "reference_value":
        parse_document(value.reference_value)
    elif kind == "geo_point_value":
        point = value.geo_point_value
        if not (-90 <= point.latitude <= 90 and -180 <= point.longitude <= 180):
            raise invalid("a geographical point lies outside the globe")
    elif kind == "timestamp_value":
        moment = value.timestamp_value
        if moment.seconds not in _SECONDS or not 0 <= moment.nanos < 1_000_000_000:
            raise invalid("a time lies outside the years 1 to 9999")
        moment.nanos -= moment.nanos % 1000  # "When stored, precise only to microseconds; rounded down"


def _name_bytes(path: Path) -> int:
    return NAME_OVERHEAD + bytes_of(path)


def _map_bytes(fields: Fields) -> int:
    return bytes_of(fields) + sum(_value_bytes(fields[name]) for name in fields)


def _value_bytes(value: ValueMessage) -> int:
    kind = value.WhichOneof("value_type")
    match kind:
        case "string_value":
            return bytes_of([value.string_value])
        case "bytes_value":
            return len(value.bytes_value)
        case "reference_value":
            return _name_bytes(parse_document(value.reference_value)[1])
        case "array_value":
            return sum(map(_value_bytes, value.array_value.values))
        case "map_value":
            return _map_bytes(value.map_value.fields)
        case _:
            return FIXED_BYTES[kind]


def _entries(fields: Fields, path: FieldPath, collection: str, settings: FieldSettings) -> int:
    """One for each order of a plain field, also inside maps; one for each element of an array."""
    count = 0
    for name in fields:
        here, value = (*path, name), fields[name]
        kind = value.WhichOneof("value_type")
        if kind == "map_value":
            count += _entries(value.map_value.fields, here, collection, settings)
        elif kind == "array_value":
            count += len(value.array_value.values) if CONTAINS in settings.indexes_of(collection, here) else 0
        else:
            count += len(settings.indexes_of(collection, here) - {CONTAINS})
    return count
