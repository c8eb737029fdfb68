"""How values leave as JSON: exact decimals and wide integers, UTC times with microseconds, bytes as base64."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import singledispatch
from typing import Any, Final

import orjson
from pydantic import BaseModel
from rest_framework.renderers import BaseRenderer

from northstar.instants import instant_text

_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """Encode a value. Decimals are strings, so that nobody rounds them; integers of any width stay numbers."""
    try:
        return orjson.dumps(value, _plain, _OPTIONS)
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@singledispatch
def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


@_plain.register
def _(value: datetime) -> str:
    return instant_text(value)


@_plain.register
def _(value: Decimal) -> str:
    return str(value)


@_plain.register(bytes)
@_plain.register(bytearray)
@_plain.register(memoryview)
def _(value: bytes | bytearray | memoryview) -> str:
    return b64encode(value).decode("ascii")


@_plain.register
def _(value: BaseModel) -> dict[str, Any]:
    return value.model_dump()


@_plain.register(set)
@_plain.register(frozenset)
def _(value: set[Any] | frozenset[Any]) -> list[Any]:
    return sorted(value)


@_plain.register(Mapping)
def _(value: Mapping[Any, Any]) -> dict[Any, Any]:
    return dict(value)


class JsonRenderer(BaseRenderer):
    """The one form of every answer that is not raw bytes."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:  # noqa: ARG002
        return b"" if data is None else dumps(data)
