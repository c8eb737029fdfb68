"""People of the back office, and the pages as they see them."""

from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from routing.roles import ensure_groups
from tests.routing.conftest import initech, keys, vault

__all__ = ["initech", "keys", "vault"]


@pytest.fixture
def boss(db) -> Client:
    """A superuser's browser."""
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.create_superuser("alice", password="x"))
    return client


@pytest.fixture
def member(db):
    """Make a browser of somebody in one of the groups."""

    def make(group: str) -> Client:
        ensure_groups()
        user = User.objects.create_user(group, is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return make


class Tags(HTMLParser):
    """Collects every tag of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))
