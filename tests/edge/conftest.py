"""The test site, and clients of it."""

from collections.abc import Callable, Iterator

import pytest

from routing.models import Tenant
from tests.conftest import Api
from tests.edge.site import Orders


@pytest.fixture
def edge(settings, acme: Tenant, api: Callable[..., Api]) -> Iterator[Api]:
    """A client of acme at the test site."""
    settings.ROOT_URLCONF = "tests.edge.site"
    Orders.attempts.clear()
    yield api(acme)
    Orders.failure = None
    Orders.attempts.clear()
