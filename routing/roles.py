"""Who may do what in the admin: three Django groups, each holding what the one before holds."""

from typing import Final

from django.contrib.auth.models import Group, Permission

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ADMIN: Final = "admin"

_VIEW: Final = (
    "view_apikey",
    "view_outboxentry",
    "view_route",
    "view_routechange",
    "view_stored",
    "view_strategylock",
    "view_surfacealias",
    "view_tenant",
)
_OPERATE: Final = (
    "add_route",
    "change_route",
    "delete_route",
    "add_strategylock",
    "change_strategylock",
    "add_surfacealias",
    "change_surfacealias",
    "delete_surfacealias",
    "change_stored",
)
_ADMINISTER: Final = (
    "add_apikey",
    "change_apikey",
    "override_lock",
    "add_tenant",
    "change_tenant",
    "administer_stored",
)

PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    VIEWER: _VIEW,
    OPERATOR: (*_VIEW, *_OPERATE),
    ADMIN: (*_VIEW, *_OPERATE, *_ADMINISTER),
}
"""A viewer sees all; an operator changes routes, locks and aliases; an admin tenants and keys too, and overrides locks."""

STORED: Final = {
    VIEWER: "routing.view_stored",
    OPERATOR: "routing.change_stored",
    ADMIN: "routing.administer_stored",
}
"""The permission that a group holds, as all after it do, on what routes keep."""


def ensure_groups() -> None:
    """Create the three groups and give each exactly its permissions; running it again changes nothing."""
    for name, codenames in PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(Permission.objects.filter(content_type__app_label="routing", codename__in=codenames))
