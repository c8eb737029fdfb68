"""Form fields for the config of every backend, made from the backends' own schemas.

A form holds the fields of all of them; only those of the chosen backend and kind are read. So it works without JavaScript.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from northstar.logs import redact_text
from storage.config import MASK, BackendConfig
from storage.registry import BACKENDS, KINDS, load

CLEAR: Final = "clear"
_REFERENCES: Final = ("env:", "file:")
_QUOTED: Final = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class ConfigGroup:
    """The config fields of one backend for one primitive, under names of their own in the form."""

    backend_type: str
    primitive: str
    schema: type[BackendConfig]

    @property
    def title(self) -> str:
        """What the group is for: the backend and the kinds."""
        kinds = [kind.title.lower() for kind in KINDS.values() if kind.primitive == self.primitive]
        return f"{BACKENDS[self.backend_type].title}: config for {', '.join(kinds)}"

    @property
    def css_classes(self) -> list[str]:
        """How the script finds the group."""
        return ["northstar-config", f"backend-{self.backend_type}", f"primitive-{self.primitive}"]

    def form_name(self, field: str) -> str:
        """Return the form's name of a config field."""
        return f"config-{self.backend_type}-{self.primitive}-{field}"

    def form_names(self, stored: Mapping[str, Any]) -> list[str]:
        """Return all names of the group in the form, a stored secret followed by its "remove" box."""
        return [name for name, _ in self.fields(stored)]

    def secret_names(self) -> list[str]:
        """Return the form's names of the secrets."""
        return [self.form_name(field) for field in sorted(self.schema.secret_fields())]

    def fields(self, stored: Mapping[str, Any]) -> Iterator[tuple[str, forms.Field]]:
        """Yield the form fields, filled with the stored config."""
        secrets = self.schema.secret_fields()
        whole = self.schema.model_json_schema()
        for name, schema in whole["properties"].items():
            needed = "Required." if name in whole.get("required", ()) else ""
            told = " ".join(filter(None, [needed, schema.get("description", "")]))
            if name not in secrets:
                yield self.form_name(name), _plain_field(name, schema, stored.get(name, schema.get("default")), told)
                continue
            yield self.form_name(name), _secret_field(name, schema, stored.get(name), told)
            if name in stored:
                yield self.form_name(f"{name}-{CLEAR}"), _clear_field(name, schema)

    def config_from(self, cleaned: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config that the form asks for. Fields left empty, and defaults that were not stored, stay away."""
        config: dict[str, Any] = {}
        secrets = self.schema.secret_fields()
        for name, info in self.schema.model_fields.items():
            value = cleaned.get(self.form_name(name))
            if name in secrets:
                config |= _secret_value(name, value, bool(cleaned.get(self.form_name(f"{name}-{CLEAR}"))))
            elif value not in (None, "") and (name in stored or value != info.default):
                config[name] = value
        return config


class PlainText(forms.TextInput):
    """Shows a value again, but no password or signature that somebody typed into an address."""

    def format_value(self, value: Any) -> str | None:
        """Return the text for the page."""
        shown = super().format_value(value)
        return None if shown is None else redact_text(str(shown))


def config_groups() -> list[ConfigGroup]:
    """Return a group for every driver that has landed, in the order of the registry."""
    return [
        ConfigGroup(backend_type, primitive, load(path).Config)
        for backend_type, backend in BACKENDS.items()
        for primitive, path in sorted(backend.serves.items())
        if path is not None
    ]


def _plain_field(name: str, schema: dict[str, Any], value: Any, told: str) -> forms.Field:
    shape = _shape(schema)
    common = {
        "label": _label(name, schema),
        "help_text": _help(told),
        "required": False,
        "initial": value,
    }
    if "enum" in shape:
        return forms.ChoiceField(choices=[(choice, choice) for choice in shape["enum"]], **common)
    match shape.get("type"):
        case "boolean":
            return forms.BooleanField(**common)
        case "integer":
            return forms.IntegerField(min_value=shape.get("minimum"), max_value=shape.get("maximum"), **common)
        case "number":
            return forms.FloatField(min_value=shape.get("minimum"), max_value=shape.get("maximum"), **common)
        case "array" | "object":
            return forms.JSONField(**common)
        case _:
            return forms.CharField(widget=PlainText, **common)


def _secret_field(name: str, schema: dict[str, Any], stored: Any, told: str) -> forms.Field:
    if stored is None:
        state = "Not set."
    elif stored == MASK:
        state = "Set. Leave it empty to keep it."
    else:
        state = f"Set to the reference {stored['$secret']}. Leave it empty to keep it."
    where = "Give the secret itself, or where it lies: env:NORTHSTAR_SECRET_… or file:<name in the secrets folder>."
    return forms.CharField(
        label=_label(name, schema),
        required=False,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=_help(" ".join(filter(None, [told, state, where]))),
    )


def _clear_field(name: str, schema: dict[str, Any]) -> forms.Field:
    return forms.BooleanField(label=f"{_label(name, schema)}: remove it", required=False)


def _help(text: str) -> SafeString:
    """Return a schema's text for a page: Django takes help texts for HTML, and these hold `<account>` and backticks."""
    return mark_safe(_QUOTED.sub(r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped right here


def _secret_value(name: str, value: Any, clear: bool) -> dict[str, Any]:
    if clear:
        return {name: None}
    if not value:
        return {}
    return {name: {"$secret": value} if value.startswith(_REFERENCES) else value}


def _shape(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the value itself: an optional field's is one of two."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return options[0] if options else schema


def _label(name: str, schema: dict[str, Any]) -> str:
    return str(schema.get("title") or name.replace("_", " ").capitalize())
