"""Acme's contexts, over routes on the filesystem."""

import pytest

from northstar.context import RequestContext
from tests.conftest import filesystem_routes


@pytest.fixture
def tenant_context(acme) -> RequestContext:
    filesystem_routes(acme)
    return RequestContext("acme", "dev", "lab", actor="test")


@pytest.fixture
def context(tenant_context) -> RequestContext:
    """Of user ada in project p1."""
    return RequestContext("acme", "dev", "lab", project_id="p1", user_id="ada", actor="test")
