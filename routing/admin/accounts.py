"""The people who work in the back office."""

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from routing.admin_site import site

site.register(User, UserAdmin)
site.register(Group, GroupAdmin)
