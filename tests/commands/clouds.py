"""The cloud backends of documents as commands are told of them: each at a real server, at a place that no other test has."""

from collections.abc import Callable
from typing import Any, Final

import pytest


def _cosmos(place: Any) -> dict[str, str]:
    return {"endpoint": place.url, "database": place.database, "key": place.key}


def _dynamodb(place: Any) -> dict[str, str]:
    keys = {"access_key_id": place.access_key, "secret_access_key": place.secret_key}
    return {"endpoint": place.endpoint, "region": place.region, **keys}


def _firestore(place: Any) -> dict[str, str]:
    return {"endpoint": f"http://{place.address}", "project": place.project}


_PLACES: Final[dict[str, tuple[str, Callable[[Any], dict[str, str]]]]] = {
    "cosmos": ("cosmos_database", _cosmos),
    "dynamodb": ("aws_account", _dynamodb),
    "firestore": ("firestore_project", _firestore),
}
CLOUDS: Final = tuple(_PLACES)


def config_of(request: pytest.FixtureRequest, backend: str) -> dict[str, str]:
    """Return a route's config for a new place on the backend's test server."""
    fixture, describe = _PLACES[backend]
    return describe(request.getfixturevalue(fixture))
