"""Leads a request to what it asks for, and refuses everything that this server does not know with a 501."""

from collections.abc import Callable
from functools import partial

from tests.servers import gcs_bucket_routes as buckets
from tests.servers import gcs_object_routes as objects
from tests.servers import gcs_upload_routes as uploads
from tests.servers import gcs_xml_routes as xml
from tests.servers.gcs_batch import batch
from tests.servers.gcs_errors import bad_request, not_modelled
from tests.servers.gcs_requests import Request, Response, decoded
from tests.servers.gcs_service import Service
from tests.servers.gcs_tokens import TOKEN_PATH, give_token, is_signing, sign_blob

Route = tuple[str, Callable[[], Response]]
"""The name of an operation, as counters and faults use it, and what does it."""
JSON_PREFIXES = ("/storage/", "/upload/storage/", "/download/storage/", "/batch/storage/")
BY_ADDRESS = frozenset({"upload.chunk", "upload.cancel", "token"})
"""Operations that need no token: a session's address is all the right that is needed."""


def is_json(request: Request) -> bool:
    """Whether a request is one of the JSON API, else of the XML API."""
    return f"{request.path}/".startswith(JSON_PREFIXES) or request.path == TOKEN_PATH or is_signing(request)


def serve(service: Service, request: Request) -> Response:
    """Answer a request. Raises GcsError for all that is no success."""
    route = _json_route(service, request) if is_json(request) else _xml_route(service, request)
    if route is None:
        raise not_modelled(f"{request.method} {request.path}")
    name, handle = route
    if is_json(request) and name not in BY_ADDRESS:
        service.accounts.check_bearer(request.headers.get("authorization"), service.clock.now() / 1_000_000)
    request.check_headers()
    fault = service.admit(name)
    response = handle()
    if fault is not None:
        raise fault.error()
    return response


def _json_route(service: Service, request: Request) -> Route | None:
    route: Route | None = None
    match request.method, request.segments:
        case "POST", ("token",):
            route = "token", partial(give_token, service, request)
        case "POST", ("v1", "projects", "-", "serviceAccounts", named):
            route = "iam.sign", partial(sign_blob, service, request, named)
        case "POST", ("batch", "storage", "v1"):
            route = "batch", partial(batch, request, partial(serve, service))
        case _, ("storage", "v1", "b", *rest):
            route = _bucket_route(service, request, tuple(rest))
        case "GET", ("download", "storage", "v1", "b", bucket, "o", name):
            route = "object.download", partial(objects.download, service, request, bucket, name)
        case _, ("upload", "storage", "v1", "b", bucket, "o"):
            route = _upload_route(service, request, bucket)
    return route


def _bucket_route(service: Service, request: Request, rest: tuple[str, ...]) -> Route | None:
    route: Route | None = None
    match request.method, rest:
        case "POST", ():
            route = "bucket.insert", partial(buckets.insert, service, request)
        case "GET", ():
            route = "bucket.list", partial(buckets.list_all, service, request)
        case "GET", (name,):
            route = "bucket.get", partial(buckets.get, service, request, name)
        case "PATCH" | "PUT", (name,):
            route = "bucket.change", partial(buckets.change, service, request, name)
        case "DELETE", (name,):
            route = "bucket.delete", partial(buckets.delete, service, request, name)
        case "GET", (name, "o"):
            route = "object.list", partial(buckets.list_objects, service, request, name)
        case _, (bucket, "o", name, *deeper):
            route = _object_route(service, request, (bucket, name), tuple(deeper))
    return route


def _object_route(service: Service, request: Request, named: tuple[str, str], deeper: tuple[str, ...]) -> Route | None:
    route: Route | None = None
    match request.method, deeper:
        case "GET", () if ("alt", "media") in request.pairs:
            route = "object.download", partial(objects.download, service, request, *named)
        case "GET", ():
            route = "object.get", partial(objects.get, service, request, *named)
        case "PATCH" | "PUT", ():
            route = "object.change", partial(objects.change, service, request, *named)
        case "DELETE", ():
            route = "object.delete", partial(objects.delete, service, request, *named)
        case "POST", ("compose",):
            route = "object.compose", partial(objects.compose, service, request, *named)
        case "POST", ("moveTo", "o", name):
            route = "object.move", partial(objects.move, service, request, named, name)
        case "POST", ("copyTo", "b", bucket, "o", name):
            route = "object.copy", partial(objects.copy, service, request, named, (bucket, name))
        case "POST", ("rewriteTo", "b", bucket, "o", name):
            route = "object.rewrite", partial(objects.rewrite, service, request, named, (bucket, name))
    return route


def _upload_route(service: Service, request: Request, bucket: str) -> Route | None:
    parameters = request.parameters
    upload_id = parameters.get("upload_id")
    match request.method, parameters.get("uploadType"):
        case "PUT", _ if upload_id:
            return "upload.chunk", partial(uploads.put_chunk, service, request, upload_id)
        case "DELETE", _ if upload_id:
            return "upload.cancel", partial(uploads.cancel, service, upload_id)
        case "POST", "media":
            return "object.insert", partial(uploads.simple, service, request, bucket)
        case "POST", "multipart":
            return "object.insert", partial(uploads.multipart, service, request, bucket)
        case "POST", "resumable":
            return "upload.start", partial(uploads.start, service, request, bucket)
    return None


def _xml_route(service: Service, request: Request) -> Route | None:
    bucket, _, name = (decoded(part) for part in request.path.removeprefix("/").partition("/"))
    if not bucket:
        return None
    if not name:
        return ("xml.form", partial(xml.form, service, request, bucket)) if request.method == "POST" else None
    upload_id = dict(request.pairs).get("upload_id")
    if upload_id:
        return _xml_session_route(service, request, upload_id)
    handlers = {"GET": xml.get, "HEAD": xml.get, "PUT": xml.put, "DELETE": xml.delete, "POST": xml.post}
    if request.method not in handlers:
        raise bad_request(f"the XML API has no {request.method}", code="MethodNotAllowed")
    handler = handlers[request.method]
    return f"xml.{request.method.lower()}", partial(handler, service, request, bucket, name)


def _xml_session_route(service: Service, request: Request, upload_id: str) -> Route | None:
    if request.method == "PUT":
        return "upload.chunk", partial(xml.put_chunk, service, request, upload_id)
    if request.method == "DELETE":
        return "upload.cancel", partial(uploads.cancel, service, upload_id)
    return None
