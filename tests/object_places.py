"""The object backends as routes are told of them: each at a place that no other test has. A driver joins with one line.

What asks for these places are the tests of every backend: objects over REST, flips, memory, the demo and conformance.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

import pytest

from northstar.modes import LAB
from storage.registry import BACKENDS, BLOBS, driver_class
from tests.stack.fixtures import unique

Config = dict[str, Any]


def _filesystem(_request: pytest.FixtureRequest) -> Config:
    return {}


def _s3(request: pytest.FixtureRequest) -> Config:
    account = request.getfixturevalue("strict_aws_account")
    keys = {"access_key_id": account.access_key, "secret_access_key": account.secret_key}
    return {"bucket": unique("bucket"), "region": account.region, "endpoint": account.endpoint, **keys}


def _azure_blob(request: pytest.FixtureRequest) -> Config:
    place = request.getfixturevalue("azure_container")
    key = {"account": place.account, "account_key": place.key}
    return {"container": place.container, "endpoint": place.endpoint, **key}


def _gcs(request: pytest.FixtureRequest) -> Config:
    place = request.getfixturevalue("gcs_bucket")
    return {"bucket": place.bucket, "endpoint": f"http://{place.address}", "credentials_json": place.key}


_PLACES: Final[dict[str, Callable[[pytest.FixtureRequest], Config]]] = {
    "filesystem": _filesystem,
    "s3": _s3,
    "azure_blob": _azure_blob,
    "gcs": _gcs,
}
"""In the order in which a route flips through them."""
SCHEMES: Final = {"filesystem": "file", "s3": "s3", "azure_blob": "az", "gcs": "gs"}
"""How the URI of an object begins."""
OBJECT_BACKENDS: Final = tuple(name for name in _PLACES if BACKENDS[name].serves[BLOBS])
"""Those that have a driver."""
OBJECT_CLOUDS: Final = OBJECT_BACKENDS[1:]


def object_config(request: pytest.FixtureRequest, backend: str) -> Config:
    """Return a route's config for a new place on the backend's test server, where its bucket or container exists."""
    config = _PLACES[backend](request)
    driver = driver_class("object_store", backend)
    with closing(driver(driver.Config.model_validate(config), mode=LAB, epoch=1)) as opened:
        opened.prepare()
    return config
