"""The JSON API's methods on buckets."""

from tests.servers.gcs_buckets import Bucket
from tests.servers.gcs_errors import bad_request
from tests.servers.gcs_fields import selected
from tests.servers.gcs_listing import Listing
from tests.servers.gcs_preconditions import Preconditions
from tests.servers.gcs_requests import Request, Response, json_response, number
from tests.servers.gcs_service import Service

CONDITIONS = ("ifMetagenerationMatch", "ifMetagenerationNotMatch")


def insert(service: Service, request: Request) -> Response:
    """Create a bucket. Raises a 409 for a name that is taken."""
    parameters = request.only({"project", "projection"})
    if not parameters.get("project"):
        raise bad_request("Required parameter: project", reason="required")
    bucket = Bucket.parsed(request.json(), service.clock.now())
    with service.lock:
        service.buckets.add(bucket)
        return json_response(bucket.resource(request.base))


def list_all(service: Service, request: Request) -> Response:
    """List the buckets of all projects, by name."""
    parameters = request.only({"project", "projection", "prefix", "maxResults", "pageToken"})
    prefix, after = parameters.get("prefix", ""), parameters.get("pageToken", "")
    limit = min(number(parameters, "maxResults") or 1000, 1000)
    with service.lock:
        names = sorted(name for name in service.buckets.named if name.startswith(prefix) and name > after)
        items = [service.buckets.named[name].resource(request.base) for name in names[:limit]]
    shown = {"kind": "storage#buckets", "items": items}
    if len(names) > limit:
        shown["nextPageToken"] = names[limit - 1]
    return json_response(selected(shown, parameters.get("fields")))


def get(service: Service, request: Request, name: str) -> Response:
    parameters = request.only({"projection", *CONDITIONS})
    with service.lock:
        bucket = service.bucket(name)
        Preconditions.of_parameters(parameters).check_read(bucket)
        return json_response(selected(bucket.resource(request.base), parameters.get("fields")))


def change(service: Service, request: Request, name: str) -> Response:
    """Patch or replace the configuration."""
    parameters = request.only({"projection", *CONDITIONS})
    given = request.json()
    with service.lock:
        bucket = service.bucket(name)
        Preconditions.of_parameters(parameters).check_write(bucket)
        (bucket.patch if request.method == "PATCH" else bucket.replace)(given, service.clock.now())
        return json_response(selected(bucket.resource(request.base), parameters.get("fields")))


def delete(service: Service, request: Request, name: str) -> Response:
    """Delete an empty bucket. Raises a 409 for another."""
    parameters = request.only(CONDITIONS)
    with service.lock:
        bucket = service.bucket(name)
        Preconditions.of_parameters(parameters).check_write(bucket)
        service.buckets.remove(bucket)
    return Response(204)


def list_objects(service: Service, request: Request, name: str) -> Response:
    """List a page of a bucket's objects."""
    with service.lock:
        listing = Listing.parsed(request, service.limits.page_results)
        page = listing.page(service.bucket(name), request.base)
    return json_response(selected(page, request.parameters.get("fields")))
