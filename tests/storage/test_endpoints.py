"""A route may name an endpoint only from the deployment's list: no route makes the server call its own network."""

import pytest
from pydantic import ValidationError

from northstar.errors import ForbiddenEndpoint
from storage.config import BackendConfig, Endpoint


class ServiceConfig(BackendConfig):
    endpoint: Endpoint | None = None


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = ["https://dynamodb.internal", "http://127.0.0.1:*", "http://[::1]:8000"]


@pytest.mark.parametrize(
    "endpoint",
    ["https://dynamodb.internal", "https://dynamodb.internal:443", "http://127.0.0.1:8123/", "http://[::1]:8000"],
)
def test_an_origin_on_the_list_is_accepted_as_it_was_given(endpoint):
    assert ServiceConfig(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://dynamodb.internal",
        "https://dynamodb.internal:8443",
        "https://dynamodb.internal.example.org",
        "https://evil-dynamodb.internal",
        "http://127.0.0.1.example.org",
        "http://169.254.169.254",
        "http://[::1]:8001",
    ],
)
def test_any_other_origin_is_forbidden_and_not_repeated(endpoint):
    with pytest.raises(ForbiddenEndpoint) as refusal:
        ServiceConfig(endpoint=endpoint)
    assert endpoint not in refusal.value.detail
    assert "NORTHSTAR_ALLOWED_ENDPOINTS" in refusal.value.fix


@pytest.mark.parametrize(
    "endpoint",
    [
        "dynamodb.internal",
        "ftp://dynamodb.internal",
        "https://user:secret@dynamodb.internal",
        "https://dynamodb.internal/path",
        "https://dynamodb.internal?x=1",
        "https://dynamodb.internal\n",
        "https://",
        "",
    ],
)
def test_what_is_no_plain_origin_is_an_invalid_config(endpoint):
    with pytest.raises(ValidationError, match="must be an origin"):
        ServiceConfig(endpoint=endpoint)


def test_without_a_list_every_endpoint_is_forbidden(settings):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = []
    with pytest.raises(ForbiddenEndpoint):
        ServiceConfig(endpoint="http://127.0.0.1:8000")
