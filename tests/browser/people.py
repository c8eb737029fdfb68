"""Run as a process beside a server: makes the people who log in to its back office, each with the role as password."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "northstar.settings.lab"
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402

from routing.roles import PERMISSIONS, ensure_groups  # noqa: E402


def main() -> None:
    ensure_groups()
    for role in PERMISSIONS:
        person = User.objects.create_user(role, password=role, is_staff=True)
        person.groups.add(Group.objects.get(name=role))


if __name__ == "__main__":
    main()
