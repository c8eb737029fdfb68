"""What the pages share: a change that is refused comes back as an error on the form that asked for it."""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst

from northstar.errors import (
    Forbidden,
    ForbiddenEndpoint,
    NoRouteConfigured,
    NorthstarError,
    StrategyLocked,
    VersionConflict,
)
from northstar.second_factor.rule import has_fresh_proof
from routing.admin_site import attempt_of
from routing.audit import Cause
from routing.denials import record_denial

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyModelForm = forms.ModelForm[Any]
else:  # the classes take no parameters at run time
    AnyModelAdmin = admin.ModelAdmin
    AnyModelForm = forms.ModelForm

_REFUSAL = "northstar_refusal"
BACKEND_CODES = frozenset({"UNSUPPORTED_BACKEND", "BACKEND_NOT_IMPLEMENTED", "FORBIDDEN_BACKEND_CLASS"})
UNKNOWN_TENANT = {"invalid_choice": "There is no tenant “%(value)s”. Choose one with the lens, or create it first."}


_NEXT_STEPS: Final = {
    Forbidden.code: "Open the route's Switch page, which asks you to confirm that it is you; then do this again.",
    StrategyLocked.code: (
        "Ask the lock's owner to release it, or wait for its end. Whoever may override locks ticks the box, and says why."
    ),
    NoRouteConfigured.code: "Add a route for it, or enable the one there is.",
    VersionConflict.code: "Look at what is there now, then decide again.",
}
"""What to do in the back office, where the error's own words say how to mend an API call."""


def next_step(error_code: str, fix: str) -> str:
    """Return the next step after an error, in the back office's terms."""
    return _NEXT_STEPS.get(error_code, fix)


def told(refusal: NorthstarError) -> str:
    """Return why something was refused and what to do, in one line."""
    return f"{refusal.told()} {next_step(refusal.code, refusal.fix)}".strip()


class Refusable(forms.BaseForm):
    """A form that can show why `routing.changes` refused what it asked for, each error on the field that it names."""

    def show(self, refusal: NorthstarError) -> None:
        """Add the refusal's errors; the form counts as cleaned."""
        fix = refusal.fix if refusal.code == ForbiddenEndpoint.code else ""  # the others say how to mend an API call
        for error in refusal.errors:
            told = f"{error.detail} {fix}" if error.code == refusal.code else error.detail
            if (
                name := self.field_for(error.field)
            ) not in self.errors:  # the form has seen for itself what is wrong there
                self.tell(name, told.strip())
        if not refusal.errors:
            name = "backend_type" if refusal.code in BACKEND_CODES else ""
            self.tell(name, f"{refusal.detail} {next_step(refusal.code, refusal.fix)}".strip())

    def tell(self, name: str, text: str) -> None:
        """Add an error to a field, or to the form where it has no such field."""
        self.add_error(name if name in self.fields else None, text)

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names."""
        return name


class RefusableForm(Refusable, AnyModelForm):
    """A model's form that shows the refusal of its own save."""

    refusal: ClassVar[NorthstarError | None] = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.refusal is not None:
            self.show(self.refusal)
        return cleaned


def moment_field(label: str, help_text: str) -> forms.DateTimeField:
    """Return an optional field for a time in UTC, as the browser's own one."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
    return forms.DateTimeField(required=False, label=label, help_text=help_text, widget=widget)


def moment_filter(field: str, title: str, *, missing: str, present: str) -> type[admin.SimpleListFilter]:
    """Return a filter on whether something has happened, in words: `field` is the time at which it did."""

    class MomentFilter(admin.SimpleListFilter):
        parameter_name = title

        def lookups(self, _request: HttpRequest, _admin: AnyModelAdmin) -> list[tuple[str, str]]:
            return [(missing, missing), (present, present)]

        def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            chosen = self.value()
            return queryset.filter(**{f"{field}__isnull": chosen == missing}) if chosen else queryset

    MomentFilter.title = title
    return MomentFilter


class NamedValues(admin.AllValuesFieldListFilter):
    """A filter on the values that a field has, without the empty one: a link needs a name."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lookup_choices = self.lookup_choices.exclude(**{self.field_path: ""})


class TitledAdmin(AnyModelAdmin):
    """Heads a list with what it lists."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list."""
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


class ChangesAdmin(TitledAdmin):
    """Saves and deletes through `routing.changes`. A refusal rolls everything back and shows the form again."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save the form."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except NorthstarError as refusal:
            denied(request, refusal)
            setattr(request, _REFUSAL, refusal)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, then delete."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except NorthstarError as refusal:
            return self._refused(request, refusal)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or run an action on the chosen rows: on all of them or none."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except NorthstarError as refusal:
            return self._refused(request, refusal)

    def audit_subject(self, object_id: str) -> str:
        """Return what the audit trail calls a row."""
        return f"{self.opts.model_name}:{object_id}"

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show the row's part of the audit trail: Django's own history knows only of the admin."""
        trail = reverse("admin:routing_routechange_changelist")
        return HttpResponseRedirect(f"{trail}?{urlencode({'subject': self.audit_subject(unquote(object_id))})}")

    def _refused(self, request: HttpRequest, refusal: NorthstarError) -> HttpResponse:
        denied(request, refusal)
        self.message_user(request, told(refusal), messages.ERROR)
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[AnyModelForm]:
        """Return the form class, which knows of a refusal of this request."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"refusal": getattr(request, _REFUSAL, None)})


class ReadOnlyAdmin(TitledAdmin):
    """Shows rows that nobody changes here."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


def cause_of(request: HttpRequest, rationale: str = "", *, override: bool = False) -> Cause:
    """Who asks for a change in the admin, and why. `override` asks to pass locks; it counts for those who may."""
    return Cause(
        actor=f"user:{request.user.get_username()}",
        request_id=request.headers.get("X-Request-Id", ""),
        rationale=rationale,
        may_switch=has_fresh_proof(request),
        may_override=override and may_override(request),
    )


def denied(request: HttpRequest, refusal: NorthstarError) -> None:
    """Record in the trail that somebody was refused, where that is a denial."""
    record_denial(attempt_of(request), refusal)


def may_override(request: HttpRequest) -> bool:
    """Whether whoever asks may pass another's strategy lock."""
    return isinstance(request.user, User) and request.user.has_perm("routing.override_lock")
