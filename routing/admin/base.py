"""What the pages share: a change that is refused comes back as an error on the form that asked for it."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst

from northstar.errors import ForbiddenEndpoint, NorthstarError
from routing.audit import Cause

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyModelForm = forms.ModelForm[Any]
else:  # the classes take no parameters at run time
    AnyModelAdmin = admin.ModelAdmin
    AnyModelForm = forms.ModelForm

_REFUSAL = "northstar_refusal"
BACKEND_CODES = frozenset({"UNSUPPORTED_BACKEND", "BACKEND_NOT_IMPLEMENTED", "FORBIDDEN_BACKEND_CLASS"})
UNKNOWN_TENANT = {"invalid_choice": "There is no tenant “%(value)s”. Choose one with the lens, or create it first."}


class RefusableForm(AnyModelForm):
    """A form that can show why `routing.changes` refused what it asked for."""

    refusal: ClassVar[NorthstarError | None] = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.refusal is not None:
            self._show(self.refusal)
        return cleaned

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names."""
        return name

    def _show(self, refusal: NorthstarError) -> None:
        fix = refusal.fix if refusal.code == ForbiddenEndpoint.code else ""  # the others say how to mend an API call
        for error in refusal.errors:
            self._add(self.field_for(error.field), f"{error.detail} {fix}".strip())
        if not refusal.errors:
            name = "backend_type" if refusal.code in BACKEND_CODES else ""
            self._add(name, f"{refusal.detail} {refusal.fix}".strip())

    def _add(self, name: str, text: str) -> None:
        self.add_error(name if name in self.fields else None, text)


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

    def _refused(self, request: HttpRequest, refusal: NorthstarError) -> HttpResponse:
        self.message_user(request, f"{refusal.detail} {refusal.fix}".strip(), messages.ERROR)
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


def cause_of(request: HttpRequest, rationale: str = "") -> Cause:
    """Who asks for a change in the admin, and why."""
    return Cause(
        actor=f"user:{request.user.get_username()}",
        request_id=request.headers.get("X-Request-Id", ""),
        rationale=rationale,
    )
