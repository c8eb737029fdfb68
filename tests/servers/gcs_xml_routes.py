"""The XML API's methods on objects, which signed URLs and forms use: nothing here is for anonymous callers."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from xml.sax.saxutils import escape

from tests.servers.gcs_contents import Content, Expected, stored
from tests.servers.gcs_errors import access_denied, bad_request, not_modelled, too_large, too_small
from tests.servers.gcs_media import media
from tests.servers.gcs_multipart import MultipartReader
from tests.servers.gcs_objects import PLAIN_FIELDS, Fields, ObjectVersion
from tests.servers.gcs_policies import Policy
from tests.servers.gcs_preconditions import Preconditions
from tests.servers.gcs_requests import Request, Response, number
from tests.servers.gcs_service import Service
from tests.servers.gcs_signatures import NAMES, PAYLOAD_HASH, UNSIGNED, check_signature, is_signed
from tests.servers.gcs_upload_routes import begin, chunk

META = "x-goog-meta-"
MAX_FIELD = 20 * 1024
"""Bytes of one field of a form, but for the file."""
OVERRIDES = {"response-content-type": "content-type", "response-content-disposition": "content-disposition"}


def authorize(service: Service, request: Request) -> None:
    """Let pass a signed URL, or a bearer token as the JSON API takes it. Raises a 403, and a 400 for an expired signature."""
    if is_signed(request):
        check_signature(request, service.accounts, service.clock.now() / 1_000_000)
    elif request.headers.get("authorization", "").startswith("Bearer "):
        service.accounts.check_bearer(request.headers["authorization"], service.clock.now() / 1_000_000)
    else:
        raise access_denied("Anonymous caller does not have access to the Google Cloud Storage object.")


def _parameters(request: Request, known: Iterable[str]) -> dict[str, str]:
    parameters = {name.lower(): value for name, value in request.parameters.items()}
    unknown = parameters.keys() - set(NAMES) - set(known)
    if unknown:
        raise not_modelled(f"the parameter {', '.join(sorted(unknown))} of {request.method} {request.path}")
    return parameters


def get(service: Service, request: Request, bucket: str, name: str) -> Response:
    """Download, also for HEAD, whose body the server leaves out."""
    authorize(service, request)
    parameters = _parameters(request, {"generation", *OVERRIDES})
    with service.lock:
        version = service.bucket(bucket).version(name, number(parameters, "generation"))
        Preconditions.of_headers(request.headers).check_read(version)
        response = media(version, request.headers)
    response.headers.update(version.xml_headers())
    response.headers.update({OVERRIDES[key]: parameters[key] for key in OVERRIDES if key in parameters})
    return response


def delete(service: Service, request: Request, bucket: str, name: str) -> Response:
    authorize(service, request)
    generation = number(_parameters(request, {"generation"}), "generation")
    with service.lock:
        home = service.bucket(bucket)
        version = home.version(name, generation)
        Preconditions.of_headers(request.headers).check_write(version)
        if generation is None:
            home.retire(name, service.clock.now())
        else:
            home.remove(version)
    return Response(204)


def put(service: Service, request: Request, bucket: str, name: str) -> Response:
    """Upload the body, of the size and with the checksums that the headers say."""
    authorize(service, request)
    _parameters(request, ())
    content = _received(service, request)
    Expected.of(request.headers, {}).check(content)
    fields = _fields(request.headers)
    version = service.publish(bucket, name, content, fields, preconditions=Preconditions.of_headers(request.headers))
    return Response(200, headers=_shown(version))


def _shown(version: ObjectVersion) -> dict[str, str]:
    return {"content-type": "text/html; charset=UTF-8", **version.xml_headers()}


def _received(service: Service, request: Request) -> Content:
    smallest, largest = _length_range(request.headers)
    sha256 = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        while piece := request.body.read():
            sha256.update(piece)
            yield piece

    content = stored(hashed(), min(largest, service.limits.object_bytes))
    if content.size < smallest:
        raise too_small(smallest)
    if request.headers.get(PAYLOAD_HASH, UNSIGNED) not in {UNSIGNED, sha256.hexdigest()}:
        raise bad_request(f"The {PAYLOAD_HASH} you specified did not match what we received.", code="BadDigest")
    return content


def _length_range(headers: Mapping[str, str]) -> tuple[int, int]:
    header = headers.get("x-goog-content-length-range")
    if header is None:
        return 0, 2**63
    smallest, _, largest = header.replace(" ", "").partition(",")
    if not (smallest.isdecimal() and largest.isdecimal()):
        raise bad_request(f"x-goog-content-length-range is {header}, not MIN,MAX")
    return int(smallest), int(largest)


def _fields(source: Mapping[str, str]) -> Fields:
    """Read an object's fields from headers, or from a form's fields in lower case."""
    given: dict[str, object] = {field: source[header] for field, header in PLAIN_FIELDS.items() if header in source}
    given["metadata"] = {name.removeprefix(META): source[name] for name in source if name.startswith(META)}
    given["storageClass"] = source.get("x-goog-storage-class")
    return Fields.parsed(given).typed("")


def post(service: Service, request: Request, bucket: str, name: str) -> Response:
    """Begin a resumable upload, which is all that a signed POST of an object may do."""
    authorize(service, request)
    _parameters(request, ())
    if request.headers.get("x-goog-resumable") != "start":
        raise not_modelled("a POST of an object without x-goog-resumable: start")
    preconditions = Preconditions.of_headers(request.headers)
    session = begin(
        service, request, bucket, name, fields=_fields(request.headers), preconditions=preconditions, given={}
    )
    return Response(201, headers={"location": f"{request.base}{request.path}?upload_id={session.id}"})


def put_chunk(service: Service, request: Request, upload_id: str) -> Response:
    """A chunk of a session of the XML API: its address is all the right that is needed."""
    answer = chunk(service, request, upload_id)
    return answer if isinstance(answer, Response) else Response(200, headers=_shown(answer))


def form(service: Service, request: Request, bucket: str) -> Response:
    """Upload the file of an HTML form within the bounds of its signed policy."""
    _parameters(request, ())
    parts = MultipartReader(request.body, request.headers.get("content-type", ""), "multipart/form-data")
    fields = _form_fields(parts)
    policy = Policy.checked(fields, bucket, service.accounts, service.clock.now() / 1_000_000)
    status = fields.get("success_action_status", "204")
    if status not in {"200", "201", "204"}:
        raise bad_request(f"success_action_status is {status}, not 200, 201 or 204")
    if "${filename}" in fields["key"] or "success_action_redirect" in fields:
        raise not_modelled("${filename} and success_action_redirect in a form")
    content = stored(iter(parts.read, b""), min(policy.largest + 1, service.limits.object_bytes))
    if content.size > policy.largest:
        raise too_large(policy.largest)
    if content.size < policy.smallest:
        raise too_small(policy.smallest)
    version = service.publish(
        bucket, fields["key"], content, _fields(fields), preconditions=Preconditions.of_headers(fields)
    )
    address = f"{request.base}/{bucket}/{fields['key']}"
    body = _post_response(version, address) if status == "201" else b""
    return Response(int(status), body, {**_shown(version), "content-type": "application/xml", "location": address})


def _form_fields(parts: MultipartReader) -> dict[str, str]:
    """Read the fields before the file, names in lower case; what follows the file is ignored, as the service does."""
    fields: dict[str, str] = {}
    while (head := parts.next_part()) is not None:
        name = _parameter(head, "name").lower()
        if name == "file":
            return fields
        if name in fields:
            raise bad_request(f"The form has two fields {name}")
        fields[name] = parts.all(MAX_FIELD).decode()
    raise bad_request("The form has no file", code="IncorrectNumberOfFilesInPostRequest")


def _parameter(head: Message, name: str) -> str:
    value = head.get_param(name, header="content-disposition")
    if not isinstance(value, str):
        raise bad_request(f"A part of the form has no {name}")
    return value


def _post_response(version: ObjectVersion, address: str) -> bytes:
    inner = (
        f"<Location>{escape(address)}</Location><Bucket>{version.bucket}</Bucket>"
        f"<Key>{escape(version.name)}</Key><ETag>{escape(version.headers()['etag'])}</ETag>"
    )
    return f"<?xml version='1.0' encoding='UTF-8'?><PostResponse>{inner}</PostResponse>".encode()
