"""The forms that ask where a route shall lead, or back to which revision, and why."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.http import HttpRequest

from routing.admin.base import Refusable, may_override
from routing.admin.config_fields import ConfigGroup, config_groups
from routing.admin.planned import Planned
from routing.admin.route_form import RATIONALE, SEEN_REVISION, RouteForm, config_of
from routing.models import Route
from storage.config import MASK
from storage.registry import KINDS

OVERRIDE: Final = "override"
Fieldset = tuple[str, dict[str, Any]]


class Reasons(forms.Form):
    """What every change of a route's place asks: why, and whether to pass locks."""

    rationale = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Why the data's place changes, for whoever reads the trail later. Required outside of mode lab.",
    )
    override = forms.BooleanField(
        required=False,
        label="Override strategy locks",
        help_text="Each lock that is passed is named in the audit trail, with the rationale above.",
    )
    seen_revision = forms.IntegerField(widget=forms.HiddenInput)


class SwitchForm(Reasons, RouteForm):
    """Where a route shall lead; the plan and the switch judge it."""

    class Meta:
        model = Route
        fields = ("tier", "cost_notes")
        widgets = RouteForm.Meta.widgets

    def planned(self) -> Planned:
        """Return the switch that was asked for."""
        given = self.cleaned_data
        config = self._config()
        told = {"backend_type": given["backend_type"], "config": config}
        notes = {"tier": given["tier"], "cost_notes": given["cost_notes"]}
        return Planned(target={**told, **notes}, **reasons(self.instance.pk, given))

    def fieldsets(self) -> list[Fieldset]:
        """Return the form's parts as the admin's templates show them."""
        groups = [
            (group.title, {"fields": group.form_names(config_of(self.stored, group)), "classes": group.css_classes})
            for group in self.groups
        ]
        notes = ("Notes", {"fields": ["tier", "cost_notes"]})
        return [("Where to", {"fields": ["backend_type"]}), *groups, notes, why(self)]


class RollbackForm(Refusable, Reasons):
    """Why a route goes back, and the secrets that the trail does not keep."""

    group: ClassVar[ConfigGroup | None] = None
    masked: ClassVar[tuple[str, ...]] = ()

    def planned(self, route: Route, revision: int) -> Planned:
        """Return the rollback that was asked for."""
        typed = self.group.config_from(self.cleaned_data, {}) if self.group else {}
        secrets = {name: value for name, value in typed.items() if name in self.masked}
        return Planned(back_to=revision, secrets=secrets, **reasons(route.pk, self.cleaned_data))

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names."""
        part, _, field = name.partition(".")
        if part in {"config", "secrets"} and self.group is not None:
            return self.group.form_name(field)
        return RATIONALE if name == "switch_rationale" else name

    def fieldsets(self) -> list[Fieldset]:
        """Return the form's parts as the admin's templates show them."""
        if self.group is None or not self.masked:
            return [why(self)]
        return [("Secrets of that revision", {"fields": list(map(self.group.form_name, self.masked))}), why(self)]


def switch_form(route: Route, request: HttpRequest) -> type[SwitchForm]:
    """Return the form class for switching a route, with the config fields of every backend that may serve its kind."""
    primitive = KINDS[route.resource_kind].primitive
    groups = [group for group in config_groups() if group.primitive == primitive]
    fields: dict[str, Any] = {"resource_kind": None, **_override(request)}
    for group in groups:
        fields |= dict(group.fields(config_of(route, group)))
    return type("SwitchForm", (SwitchForm,), {**fields, "groups": groups, "stored": route})


def rollback_form(route: Route, then: Mapping[str, Any], request: HttpRequest) -> type[RollbackForm]:
    """Return the form class for going back to what a route said `then`."""
    wanted = (then["backend_type"], KINDS[route.resource_kind].primitive)
    group = next((group for group in config_groups() if (group.backend_type, group.primitive) == wanted), None)
    masked = tuple(sorted(name for name, value in then["config"].items() if value == MASK)) if group else ()
    fields: dict[str, Any] = _override(request)
    if group is not None:
        names = set(map(group.form_name, masked))
        fields |= {name: _again(field) for name, field in group.fields({}) if name in names}
    return type("RollbackForm", (RollbackForm,), {**fields, "group": group, "masked": masked})


def reasons(route_id: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the common questions were answered, for a planned change."""
    return {
        "route_id": route_id,
        "seen_revision": given[SEEN_REVISION],
        "rationale": given[RATIONALE],
        "override": bool(given.get(OVERRIDE)),
    }


def why(form: forms.BaseForm) -> Fieldset:
    """Return the part of a form that asks for the reasons."""
    asked = [name for name in (RATIONALE, OVERRIDE, SEEN_REVISION) if name in form.fields]
    return ("Why", {"fields": asked})


def _again(secret: forms.Field) -> forms.Field:
    secret.help_text = (
        "The trail keeps no secrets. Give it again, unless the route leads to the same place now as then."
    )
    return secret


def _override(request: HttpRequest) -> dict[str, Any]:
    return {} if may_override(request) else {OVERRIDE: None}
