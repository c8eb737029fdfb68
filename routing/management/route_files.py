"""Routes in a JSON file: a list of bodies of POST /routing/routes, or one of them."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError

from northstar.errors import FieldError, InvalidRequest
from northstar.inputs import checked
from routing.admission import RouteDraft
from routing.api.bodies import RouteIn

DRAFTED: Final = tuple(field.name for field in fields(RouteDraft))


def bodies_in(path: Path) -> list[Any]:
    """Return the routes of a file: a list, or one object. Raises CommandError."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise CommandError(f"{path} is no JSON: {error}") from None
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise CommandError(f"{path} holds no routes: give a list of objects, each as for POST /api/v1/routing/routes.")
    return document


def read_body(body: Any) -> RouteIn:
    """Return a body, typed. Raises InvalidRequest naming each field that is missing, unknown or of the wrong type."""
    if not isinstance(body, dict):
        raise InvalidRequest("The route is no object.", fix="Write it as for POST /api/v1/routing/routes.")
    route = checked(RouteIn, body, "route")
    if route.tenant_id is None:
        missing = FieldError("tenant_id", "missing", "Say whose route it is: a file has no API key to tell.")
        raise InvalidRequest("The route is not valid: tenant_id.", fix="Add tenant_id.", errors=[missing])
    return route


def draft_of(route: RouteIn) -> RouteDraft:
    """Return what a body says as a draft."""
    given = {name: value for name, value in route.model_dump().items() if name in DRAFTED and value is not None}
    return RouteDraft(**given)
