"""Viewer, operator, admin: each group holds what the one before holds, and passing a lock is the last one's alone."""

import pytest
from django.contrib.auth.models import Group, User

from routing.roles import ADMIN, OPERATOR, PERMISSIONS, VIEWER, ensure_groups


def member(group: str) -> User:
    ensure_groups()
    user = User.objects.create_user(group, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


def test_each_group_has_exactly_its_permissions_however_often_they_are_made(db):
    ensure_groups()
    Group.objects.get(name=VIEWER).permissions.clear()
    ensure_groups()
    for name, codenames in PERMISSIONS.items():
        held = Group.objects.get(name=name).permissions.values_list("codename", flat=True)
        assert sorted(held) == sorted(codenames), name
    assert set(PERMISSIONS[VIEWER]) < set(PERMISSIONS[OPERATOR]) < set(PERMISSIONS[ADMIN])


@pytest.mark.parametrize(
    ("permission", "held_by"),
    [
        ("view_route", {VIEWER, OPERATOR, ADMIN}),
        ("view_routechange", {VIEWER, OPERATOR, ADMIN}),
        ("change_route", {OPERATOR, ADMIN}),
        ("add_strategylock", {OPERATOR, ADMIN}),
        ("override_lock", {ADMIN}),
        ("add_apikey", {ADMIN}),
        ("change_tenant", {ADMIN}),
        ("delete_routechange", set()),
        ("change_routechange", set()),
        ("delete_apikey", set()),
        ("delete_tenant", set()),
    ],
)
def test_who_may_do_what(db, permission, held_by):
    assert {name for name in PERMISSIONS if member(name).has_perm(f"routing.{permission}")} == held_by
