"""API keys in the back office: issued with a token that is shown once, revoked, never deleted."""

from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString

from routing.admin.base import UNKNOWN_TENANT, ChangesAdmin, RefusableForm, cause_of, moment_field, moment_filter
from routing.admin.confirming import confirmed_throughout
from routing.admin_site import site
from routing.keys import SCOPES, is_active, issue_key, revoke_key
from routing.models import ApiKey
from routing.showing import GOOD, QUIET, moment, state

_issued: WeakKeyDictionary[HttpRequest, str] = WeakKeyDictionary()
"""The token of a request that is being answered: the only place it ever lies, and it goes with the request."""


class ApiKeyForm(RefusableForm):
    """What a key may do."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="act:tenants is for keys of t_system only.",
    )
    envs = forms.CharField(
        label="Environments",
        required=False,
        help_text="Separated by spaces or commas, such as: dev staging. Empty means all.",
    )

    expires_at = moment_field("Expires", "In UTC. Empty: never.")

    class Meta:
        model = ApiKey
        fields: ClassVar[list[str]] = ["tenant", "label", "scopes", "envs", "expires_at"]
        error_messages: ClassVar[dict[str, dict[str, str]]] = {"tenant": UNKNOWN_TENANT}

    def clean_envs(self) -> list[str]:
        """Return the names of the environments."""
        return str(self.cleaned_data["envs"]).replace(",", " ").split()

    def field_for(self, name: str) -> str:
        """Return the form's name for a field that an error names."""
        return "tenant" if name == "tenant_id" else name


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(ChangesAdmin):
    """A key is seen but not changed: what it may do is fixed when it is issued."""

    form = ApiKeyForm
    raw_id_fields = ["tenant"]
    list_display = [
        "__str__",
        "tenant",
        "label",
        "may",
        "environments",
        "active",
        "expires",
        "last_used",
    ]
    list_filter = ["tenant", moment_filter("revoked_at", "state", missing="not revoked", present="revoked")]
    list_select_related = ["tenant"]
    search_fields = ["key_id", "label", "tenant__tenant_id", "created_by"]
    actions = ["revoke"]

    @admin.display(description="scopes")
    def may(self, key: ApiKey) -> str:
        """What the key opens."""
        return ", ".join(key.scopes)

    @admin.display(description="environments")
    def environments(self, key: ApiKey) -> str:
        """Where it does."""
        return ", ".join(key.envs) or "all"

    @admin.display(description="state")
    def active(self, key: ApiKey) -> SafeString:
        """Whether the key opens anything."""
        if is_active(key):
            return state("active", GOOD)
        return state("revoked" if key.revoked_at else "expired", QUIET)

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, key: ApiKey) -> SafeString:
        """When it ends by itself."""
        return moment(key.expires_at, "never")

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> SafeString:
        """When it opened something last."""
        return moment(key.last_used_at, "never")

    @admin.display(description="revoked", ordering="revoked_at")
    def revoked(self, key: ApiKey) -> SafeString:
        """When it was ended."""
        return moment(key.revoked_at, "no")

    @admin.display(description="issued", ordering="created_at")
    def issued(self, key: ApiKey) -> SafeString:
        """When, and by whom."""
        return format_html("{} by {}", moment(key.created_at), key.created_by)

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End the keys at once and for ever."""
        keys = [revoke_key(key.key_id, cause_of(request)) for key in queryset]
        self.message_user(request, f"Revoked: {', '.join(map(str, keys))}.", messages.SUCCESS)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """Return what is asked for, and of a key that stands also what became of it."""
        asked = ["tenant", "label", "scopes", "envs", "expires_at"]
        return (
            asked
            if obj is None
            else [
                "key_id",
                "tenant",
                "label",
                "may",
                "environments",
                "active",
                "expires",
                "issued",
                "revoked",
                "last_used",
            ]
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """Return everything of a key that stands."""
        return [] if obj is None else self.get_fields(request, obj)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask who it is, then issue: what a page asks a fresh proof for, a key would do without."""
        return confirmed_throughout(super().add_view)(request, form_url, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the key, without buttons that would save nothing."""
        hidden = {"show_save": False, "show_save_and_continue": False, "show_save_and_add_another": False}
        return super().change_view(request, object_id, form_url, {**hidden, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Issue the key; a key that stands is not changed."""
        if change:
            return
        given = form.cleaned_data
        key, token = issue_key(
            given["tenant"],
            given["label"],
            given["scopes"],
            envs=given["envs"],
            expires_at=given["expires_at"],
            cause=cause_of(request),
        )
        obj.pk = key.pk
        obj.refresh_from_db()
        _issued[request] = token

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token, this once, in the answer itself: no session, no message and no cookie ever holds it."""
        context = {
            **self.admin_site.each_context(request),
            "title": "API key issued",
            "key": obj,
            "token": _issued.pop(request),
        }
        response = TemplateResponse(request, "admin/routing/apikey/issued.html", context)
        add_never_cache_headers(response)
        return response

    def audit_subject(self, object_id: str) -> str:
        """Return what the audit trail calls a key."""
        key_id = ApiKey.objects.filter(pk=object_id).values_list("key_id", flat=True).first()
        return f"key:{key_id}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: the audit trail names keys."""
        return False
