"""The object backends as routes are told of them: each at a place that no other test has. A driver joins with one line.

What asks for these places are the tests of every backend: objects over REST, flips, memory, the demo and conformance.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest

from storage.registry import BACKENDS, BLOBS
from tests.contract.azure_lab import azure_config, azure_driver

Config = dict[str, Any]


def _filesystem(_request: pytest.FixtureRequest) -> Config:
    return {}


def _azure_blob(request: pytest.FixtureRequest) -> Config:
    place = request.getfixturevalue("azure_container")
    account = {"account": place.account, "account_key": place.key, "endpoint": place.endpoint}
    with azure_driver(azure_config(place)):  # which makes the container
        return account | {"container": place.container}


_PLACES: Final[dict[str, Callable[[pytest.FixtureRequest], Config]]] = {
    "filesystem": _filesystem,
    "azure_blob": _azure_blob,
}
"""In the order in which the issue flips a route: filesystem, s3, azure_blob, gcs."""
SCHEMES: Final = {"filesystem": "file", "s3": "s3", "azure_blob": "az", "gcs": "gs"}
"""How the URI of an object begins."""
OBJECT_BACKENDS: Final = tuple(name for name in _PLACES if BACKENDS[name].serves[BLOBS])
OBJECT_CLOUDS: Final = OBJECT_BACKENDS[1:]


def object_config(request: pytest.FixtureRequest, backend: str) -> Config:
    """Return a route's config for a new place on the backend's test server; its bucket or container exists."""
    return _PLACES[backend](request)
