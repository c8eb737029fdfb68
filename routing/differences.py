"""What differs between two states of a thing, field by field, in words."""

import json
from collections.abc import Mapping
from typing import Any, Final

UNCHANGED_BY_NATURE: Final = frozenset({"created_at", "created_by", "id"})
ABSENT: Final = "-"


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Return `(field, before, after)` of every field that differs, nested ones with dots, in the order of their names."""
    old, new = _flat(before or {}), _flat(after or {})
    names = sorted(name for name in old.keys() | new.keys() if name not in UNCHANGED_BY_NATURE)
    return [
        (name, old.get(name, ABSENT), new.get(name, ABSENT))
        for name in names
        if old.get(name, ABSENT) != new.get(name, ABSENT)
    ]


def _flat(state: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in state.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = _word(value)
    return flat


def _word(value: Any) -> str:
    if value is None or value in ("", {}, []):
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
