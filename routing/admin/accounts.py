"""The people who work in the back office. Whoever can make one can be another, so each change asks who it is."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse

from routing.admin.base import AnyModelAdmin
from routing.admin.confirming import confirmed_throughout
from routing.admin_site import site

if TYPE_CHECKING:
    AnyUserAdmin = UserAdmin[User]
else:  # the class takes no parameters at run time
    AnyUserAdmin = UserAdmin


class _Confirmed(AnyModelAdmin):
    """Opens and takes its forms only from somebody who has just confirmed the second factor."""

    def add_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Ask who it is, then for the new row."""
        return confirmed_throughout(super().add_view)(request, *args, **options)

    def change_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Ask who it is, then for the change."""
        return confirmed_throughout(super().change_view)(request, *args, **options)


class PersonAdmin(_Confirmed, AnyUserAdmin):
    """Members of the staff."""

    def user_change_password(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Ask who it is, then for another's new password."""
        return confirmed_throughout(super().user_change_password)(request, *args, **options)


class RoleAdmin(_Confirmed, GroupAdmin):
    """What groups of them may do."""


site.register(User, PersonAdmin)
site.register(Group, RoleAdmin)
