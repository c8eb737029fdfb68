"""Strategy locks in the back office: set on a route or a whole environment, released by their owner or by override."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from northstar.errors import NorthstarError
from routing.admin.base import (
    UNKNOWN_TENANT,
    AnyModelAdmin,
    ChangesAdmin,
    Refusable,
    RefusableForm,
    cause_of,
    denied,
    may_override,
    moment_field,
    moment_filter,
)
from routing.admin.route_pages import address, page, require, route_or_404, shown
from routing.admin_site import site
from routing.changes import lock_env, lock_route, unlock
from routing.changes.lock_reach import is_active
from routing.models import StrategyLock
from routing.showing import QUIET, WARN, moment, state

HOLD_HELP = "Also refuse analytics records while the lock holds; they are kept, and may be replayed after its end."
UNTIL_HELP = "In UTC. Empty: until somebody releases it."


class LockForm(Refusable, forms.Form):
    """Why a route must stay where it is, and how long."""

    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text="Whoever is refused reads this: say what is going on, and whom to ask.",
    )
    until = moment_field("Until", UNTIL_HELP)
    holds_ingest = forms.BooleanField(label="Hold ingestion", required=False, help_text=HOLD_HELP)


class EnvLockForm(RefusableForm):
    """The same for all routes of a tenant's environment."""

    until = moment_field("Until", UNTIL_HELP)

    class Meta:
        model = StrategyLock
        fields: ClassVar[list[str]] = ["tenant", "env", "reason", "until", "holds_ingest"]
        error_messages: ClassVar[dict[str, dict[str, str]]] = {"tenant": UNKNOWN_TENANT}

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names."""
        return "tenant" if name == "tenant_id" else name


class ReleaseForm(Refusable, forms.Form):
    """Why another's lock is released."""

    rationale = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Required for another's lock: releasing it is an override, and goes into the audit trail with this.",
    )

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names."""
        return "rationale" if name == "switch_rationale" else name


def lock(route_admin: AnyModelAdmin, request: HttpRequest, route_id: int) -> HttpResponse:
    """Ask why one route must stay where it is, and lock it."""
    route = route_or_404(request, route_id, "view_route")
    require(request, "add_strategylock")
    form = LockForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            lock_route(route_id, **given, cause=cause_of(request))
        except NorthstarError as refusal:
            denied(request, refusal)
            form.show(refusal)
        else:
            route_admin.message_user(request, "Locked: nothing may move this route now.", messages.SUCCESS)
            return HttpResponseRedirect(address("change", route_id))
    adminform = shown(form, [("Lock", {"fields": ["reason", "until", "holds_ingest"]})], route_admin)
    return page(route_admin, request, route, "lock", "Lock", adminform=adminform)


@admin.register(StrategyLock, site=site)
class StrategyLockAdmin(ChangesAdmin):
    """A lock is set and released, never edited or deleted. One on a single route is set on that route's page."""

    form = EnvLockForm
    raw_id_fields = ["tenant"]
    list_display = ["what", "where", "held", "owner", "reason", "ends", "began"]
    list_filter = [
        "tenant",
        "env",
        moment_filter("released_at", "released", missing="not released", present="released"),
    ]
    list_select_related = ["tenant"]
    search_fields = ["tenant__tenant_id", "env", "owner", "reason"]
    actions = None

    @admin.display(description="locked")
    def what(self, row: StrategyLock) -> str:
        """What may not move."""
        return row.resource_kind or "all routes"

    @admin.display(description="in")
    def where(self, row: StrategyLock) -> str:
        """Where."""
        return f"{row.tenant_id}/{row.env}" + (f"/{row.project_id}" if row.project_id else "")

    @admin.display(description="state")
    def held(self, row: StrategyLock) -> SafeString:
        """Whether it forbids anything now."""
        if is_active(row):
            return state("active", WARN)
        return state("released" if row.released_at else "ended", QUIET)

    @admin.display(description="until", ordering="until")
    def ends(self, row: StrategyLock) -> SafeString:
        """When it ends by itself, or when it was released."""
        if row.released_at and not is_active(row):
            return moment(row.released_at)
        return moment(row.until, "released by hand")

    @admin.display(description="since", ordering="created_at")
    def began(self, row: StrategyLock) -> SafeString:
        """When it was set."""
        return moment(row.created_at)

    def get_urls(self) -> list[URLPattern]:
        """Return Django's pages and the release."""
        release = self.admin_site.admin_view(self.release)
        return [path("<int:lock_id>/release/", release, name="routing_strategylock_release"), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: StrategyLock | None = None) -> Any:
        """Return what is asked for, or all that is known of a lock that stands."""
        if obj is None:
            lead = "All routes of this tenant and environment, those to come too. One route is locked on its own page."
            return [(None, {"fields": ["tenant", "env", "reason", "until"], "description": lead})]
        return [(None, {"fields": ["what", "where", "held", "owner", "reason", "began", "ends", "released_by"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: StrategyLock | None = None) -> list[str]:
        """Return everything of a lock that stands."""
        if obj is None:
            return []
        return ["what", "where", "held", "owner", "reason", "began", "ends", "released_by"]

    def has_change_permission(self, request: HttpRequest, obj: StrategyLock | None = None) -> bool:
        """Nobody edits a lock: releasing it is a page of its own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: StrategyLock | None = None) -> bool:
        """Nobody: a lock that ended stays, so that the trail's names lead somewhere."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a lock, with the way to release it for those who may try."""
        row = StrategyLock.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        may = row is not None and is_active(row) and request.user.has_perm("routing.change_strategylock")
        context = {"may_release": may, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def audit_subject(self, object_id: str) -> str:
        """Return what the audit trail calls a lock."""
        return f"lock:{object_id}"

    def save_model(self, request: HttpRequest, obj: StrategyLock, form: Any, change: bool) -> None:
        """Lock the environment."""
        row = lock_env(
            obj.tenant_id,
            obj.env,
            reason=obj.reason,
            until=obj.until,
            holds_ingest=obj.holds_ingest,
            cause=cause_of(request),
        )
        obj.pk = row.pk
        obj.refresh_from_db()

    def release(self, request: HttpRequest, lock_id: int) -> HttpResponse:
        """Ask, then end a lock before its time."""
        require(request, "change_strategylock")
        row = StrategyLock.objects.filter(pk=lock_id).first()
        if row is None:
            raise Http404
        form = ReleaseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                unlock(lock_id, cause_of(request, form.cleaned_data["rationale"], override=True))
            except NorthstarError as refusal:
                denied(request, refusal)
                form.show(refusal)
            else:
                self.message_user(request, f"Released: {row}.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:routing_strategylock_changelist"))
        return self._release_page(request, row, form)

    def _release_page(self, request: HttpRequest, row: StrategyLock, form: ReleaseForm) -> HttpResponse:
        mine = row.owner == cause_of(request).actor
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Release this lock?",
            "subtitle": str(row),
            "lock": row,
            "mine": mine,
            "may_release": mine or may_override(request),
            "adminform": shown(form, [("Release", {"fields": ["rationale"]})], self),
        }
        return TemplateResponse(request, "admin/routing/strategylock/release.html", context)
