"""The back office's own admin site: Django's, under Northstar's name and theme."""

from django.contrib.admin import AdminSite


class NorthstarAdminSite(AdminSite):
    """Registers nothing by itself: the apps' `admin` packages register with `site`."""

    site_header = "Northstar"
    site_title = "Northstar"
    index_title = "Who stores what where"
    enable_nav_sidebar = True


site = NorthstarAdminSite(name="admin")
