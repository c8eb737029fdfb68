"""The form of a route: its key, its backend, the config that the backend asks for, and why."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from northstar.errors import NorthstarError
from routing.admin.base import UNKNOWN_TENANT, RefusableForm
from routing.admin.config_fields import ConfigGroup, config_groups
from routing.admission import RouteDraft, check_backend, complete_config
from routing.changes import RouteUpdate
from routing.configs import parse_config
from routing.models import Route
from storage.registry import BACKENDS, KINDS

RATIONALE = "rationale"
SEEN_REVISION = "seen_revision"
TYPE_AGAIN = "Give it again: a secret is never sent back to the page."


class RouteForm(RefusableForm):
    """Turns what was typed into a draft or an update; `routing.changes` alone judges it."""

    groups: ClassVar[list[ConfigGroup]] = []
    stored: ClassVar[Route | None] = None

    resource_kind = forms.ChoiceField(label="Resource kind")
    backend_type = forms.ChoiceField(
        label="Backend", help_text="In modes other than lab, only cloud backends are allowed."
    )
    rationale = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Why this change. Outside of mode lab a switch to another place needs one.",
    )
    seen_revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Route
        fields = ("resource_kind", "tenant", "env", "project_id", "backend_type", "enabled", "tier", "cost_notes")
        error_messages: ClassVar[dict[str, dict[str, str]]] = {"tenant": UNKNOWN_TENANT}
        widgets: ClassVar[dict[str, forms.Widget]] = {"cost_notes": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind, backend = self.fields.get("resource_kind"), self.fields.get("backend_type")
        if isinstance(kind, forms.ChoiceField):
            kind.choices = [(name, f"{name} ({entry.title})") for name, entry in KINDS.items()]
        if isinstance(backend, forms.ChoiceField):
            backend.choices = self._backend_choices()
            primitives = {name: entry.primitive for name, entry in KINDS.items()}
            served = {name: [what for what, path in entry.serves.items() if path] for name, entry in BACKENDS.items()}
            backend.widget.attrs["data-serves"] = json.dumps(served)
            backend.widget.attrs["data-primitives"] = json.dumps(primitives)
            backend.widget.attrs["data-kind"] = self.stored.resource_kind if self.stored else ""
        if self.stored is not None and SEEN_REVISION in self.fields:
            self.fields[SEEN_REVISION].initial = self.stored.revision

    def _backend_choices(self) -> list[tuple[str, str]]:
        """Every backend that has a driver, and the stored one; a new route begins with none chosen."""
        kept = self.stored.backend_type if self.stored else ""
        choices = [] if self.stored else [("", "Choose a backend")]
        for name, entry in BACKENDS.items():
            if name == kept or any(entry.serves.values()):
                choices.append((name, f"{entry.title} ({entry.backend_class})"))
        return choices

    def clean(self) -> dict[str, Any]:
        """Ask of backend and config what saving will ask, so that nothing else that is wrong hides their errors."""
        cleaned = super().clean()
        if self.refusal is None:
            for question in (self._check_backend, self._check_config):
                try:
                    question()
                except NorthstarError as refusal:
                    self.show(refusal)
        return cleaned

    def _check_backend(self) -> None:
        tenant = self.stored.tenant if self.stored else self.cleaned_data.get("tenant")
        if self._group() is not None and tenant is not None:
            check_backend(self._kind(), self.cleaned_data["backend_type"], tenant.effective_mode)

    def _check_config(self) -> None:
        if (group := self._group()) is not None:
            config = complete_config(self._kind(), group.backend_type, self._config(), self.stored)
            parse_config(self._kind(), group.backend_type, config)

    def full_clean(self) -> None:
        """Ask for typed secrets again when anything is wrong: the page does not get them back, so it would save none."""
        super().full_clean()
        group = self._group() if self.is_bound and self.errors else None
        for name in group.secret_names() if group else ():
            if self.cleaned_data.get(name) and name not in self.errors:
                self.add_error(name, TYPE_AGAIN)

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names: a config field is the chosen backend's."""
        part, _, field = name.partition(".")
        if part == "config" and (group := self._group()):
            return group.form_name(field.partition(".")[0])
        return {"switch_rationale": RATIONALE, "tenant_id": "tenant"}.get(name, name)

    def draft(self) -> RouteDraft:
        """Return the new route that was asked for."""
        given = self.cleaned_data
        return RouteDraft(
            resource_kind=given["resource_kind"],
            tenant_id=given["tenant"].pk,
            env=given["env"],
            project_id=given["project_id"] or None,
            backend_type=given["backend_type"],
            config=self._config(),
            tier=given["tier"],
            cost_notes=given["cost_notes"],
            enabled=given["enabled"],
        )

    def update(self) -> RouteUpdate:
        """Return the changes that were asked for."""
        given = self.cleaned_data
        return RouteUpdate(
            backend_type=given["backend_type"],
            config=self._config(),
            tier=given["tier"],
            cost_notes=given["cost_notes"],
            enabled=given["enabled"],
        )

    def _kind(self) -> str:
        return self.stored.resource_kind if self.stored else self.cleaned_data.get("resource_kind", "")

    def _group(self) -> ConfigGroup | None:
        kind = self._kind()
        chosen = (self.cleaned_data.get("backend_type"), KINDS[kind].primitive if kind in KINDS else "")
        return next((group for group in self.groups if (group.backend_type, group.primitive) == chosen), None)

    def _config(self) -> dict[str, Any]:
        group = self._group()
        return group.config_from(self.cleaned_data, config_of(self.stored, group)) if group else {}


def route_form(stored: Route | None) -> type[RouteForm]:
    """Return the form class for a new route, or for a stored one, with the config fields of every backend that has landed."""
    groups = config_groups()
    fields: dict[str, Any] = {}
    for group in groups:
        fields |= dict(group.fields(config_of(stored, group)))
    # Nobody can send the kind of a stored route: the page shows it as text, so the form must not ask for it.
    fixed = {} if stored is None else {"resource_kind": None}
    return type("RouteForm", (RouteForm,), {**fields, **fixed, "groups": groups, "stored": stored})


def config_of(stored: Route | None, group: ConfigGroup) -> Mapping[str, Any]:
    """The stored config, where it is the group's."""
    if stored is None or stored.backend_type != group.backend_type:
        return {}
    kind = KINDS.get(stored.resource_kind)
    return stored.config if kind and kind.primitive == group.primitive else {}
