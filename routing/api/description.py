"""Query models as the OpenAPI description knows them: one parameter per field."""

from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel


def parameters_of(model: type[BaseModel]) -> list[OpenApiParameter]:
    """Return the query parameters that a model describes."""
    schema = model.model_json_schema()
    required = set(schema.get("required", []))
    return [
        OpenApiParameter(name, type=_value(field), required=name in required, description=field.get("description", ""))
        for name, field in schema["properties"].items()
    ]


def _value(field: dict[str, object]) -> dict[str, object]:
    """The schema of the parameter's value: one that may be left out is left out, never null."""
    options = field.get("anyOf")
    if isinstance(options, list):
        return dict(next(option for option in options if option.get("type") != "null"))
    return {name: value for name, value in field.items() if name not in {"title", "description"}}
