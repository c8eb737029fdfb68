"""The JSON API's uploads: in one request, with metadata in a part of its own, and resumable."""

from collections.abc import Mapping
from typing import Any

from tests.servers.gcs_contents import Expected, Writer, stored
from tests.servers.gcs_errors import GcsError, bad_request, no_upload
from tests.servers.gcs_fields import selected
from tests.servers.gcs_multipart import MultipartReader
from tests.servers.gcs_names import check_kms_key, check_object_name
from tests.servers.gcs_object_routes import CONDITIONS
from tests.servers.gcs_objects import Fields, ObjectVersion
from tests.servers.gcs_preconditions import Preconditions
from tests.servers.gcs_requests import MAX_JSON, Request, Response, json_response, number, parse_object
from tests.servers.gcs_service import Service
from tests.servers.gcs_uploads import Chunk, Session, append, new_upload_id

PARAMETERS = frozenset({"kmsKeyName", "name", "projection", "uploadType", *CONDITIONS})
RESUME_INCOMPLETE = 308


def simple(service: Service, request: Request, bucket: str) -> Response:
    """Take the body as the object, named in the query (uploadType=media)."""
    parameters = request.only(PARAMETERS)
    content = stored(iter(request.body.read, b""), service.limits.object_bytes)
    Expected.of(request.headers, {}).check(content)
    fields = Fields().typed(request.headers.get("content-type", ""))
    preconditions = Preconditions.of_parameters(parameters)
    key = _kms_key(parameters)
    version = service.publish(
        bucket, parameters.get("name", ""), content, fields, preconditions=preconditions, kms_key=key
    )
    return json_response(selected(version.resource(request.base), parameters.get("fields")))


def multipart(service: Service, request: Request, bucket: str) -> Response:
    """Take metadata from the first part and the object from the second (uploadType=multipart)."""
    parameters = request.only(PARAMETERS)
    parts = MultipartReader(request.body, request.headers.get("content-type", ""), "multipart/related")
    if parts.next_part() is None:
        raise bad_request("The multipart body has no part")
    given = parse_object(parts.all(MAX_JSON))
    head = parts.next_part()
    if head is None:
        raise bad_request("The multipart body has no second part")
    content = stored(iter(parts.read, b""), service.limits.object_bytes)
    if parts.next_part() is not None:
        raise bad_request("The multipart body has more than two parts")
    Expected.of(request.headers, given).check(content)
    fields = Fields.parsed(given).typed(head.get("content-type", ""))
    name = _name(parameters, given, bucket)
    preconditions = Preconditions.of_parameters(parameters)
    version = service.publish(bucket, name, content, fields, preconditions=preconditions, kms_key=_kms_key(parameters))
    return json_response(selected(version.resource(request.base), parameters.get("fields")))


def _kms_key(parameters: Mapping[str, str]) -> str:
    return check_kms_key(parameters.get("kmsKeyName", ""))


def _name(parameters: dict[str, str], given: dict[str, Any], bucket: str) -> str:
    if given.get("bucket", bucket) != bucket:
        raise bad_request(f"The metadata names the bucket {given['bucket']}, the path {bucket}")
    return check_object_name(parameters.get("name") or given.get("name"))


def start(service: Service, request: Request, bucket: str) -> Response:
    """Begin a resumable upload; the answer's Location is the session, which needs no other right."""
    parameters = request.only(PARAMETERS)
    given = request.json()
    name = _name(parameters, given, bucket)
    fields = Fields.parsed(given).typed(request.headers.get("x-upload-content-type", ""))
    preconditions = Preconditions.of_parameters(parameters)
    session = begin(service, request, bucket, name, fields=fields, preconditions=preconditions, given=given)
    session.kms_key = _kms_key(parameters)
    address = f"{request.base}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={session.id}"
    return Response(200, headers={"location": address, "x-guploader-uploadid": session.id})


def begin(
    service: Service,
    request: Request,
    bucket: str,
    name: str,
    *,
    fields: Fields,
    preconditions: Preconditions,
    given: Mapping[str, Any],
) -> Session:
    """Begin a session. Preconditions are looked at when it ends, which is when they must hold."""
    check_object_name(name)
    expected = Expected.of(request.headers, given)
    with service.lock:
        service.bucket(bucket)
        session = Session(
            id=new_upload_id(),
            bucket=bucket,
            name=name,
            fields=fields,
            preconditions=preconditions,
            expected=expected,
            declared=number(request.headers, "x-upload-content-length"),
            begun=service.clock.now(),
            writer=Writer(service.limits.object_bytes),
        )
        service.uploads.begin(session)
    return session


def chunk(service: Service, request: Request, upload_id: str) -> ObjectVersion | Response:
    """Take bytes of a session, or tell how many there are: the object when it is complete, else a 308."""
    chunk = Chunk.parsed(request.headers.get("content-range"), request.headers.get("content-length"))
    with service.lock:
        session = service.uploads.named(upload_id, service.clock.now())
    if session.published is not None:
        return session.published
    if session.declared is not None and chunk.total not in {None, session.declared}:
        raise bad_request(f"The upload was begun for {session.declared} bytes, not {chunk.total}")
    append(session, chunk, request.body, service.lock, most=service.limits.kept_bytes)
    with service.lock:
        if chunk.completes(session.writer.size):
            return _complete(service, request, session)
        received = session.writer.size
    return Response(RESUME_INCOMPLETE, headers={"range": f"bytes=0-{received - 1}"} if received else {})


def _complete(service: Service, request: Request, session: Session) -> ObjectVersion:
    if session.published is None:
        content = session.writer.finished()
        try:
            if session.declared not in {None, content.size}:
                raise bad_request(f"The upload was begun for {session.declared} bytes, not {content.size}")
            Expected.of(request.headers, {}).check(content)
            session.expected.check(content)
            session.published = service.publish(
                session.bucket,
                session.name,
                content,
                session.fields,
                preconditions=session.preconditions,
                kms_key=session.kms_key,
            )
        except GcsError as error:
            session.failed = error
            raise
    return session.published


def put_chunk(service: Service, request: Request, upload_id: str) -> Response:
    """A chunk of a session of the JSON API."""
    request.only({"uploadType", "upload_id"})
    answer = chunk(service, request, upload_id)
    if isinstance(answer, Response):
        return answer
    return json_response(selected(answer.resource(request.base), request.parameters.get("fields")))


def cancel(service: Service, upload_id: str) -> Response:
    """Give a session up. 499 says that it is cancelled."""
    with service.lock:
        session = service.uploads.named(upload_id, service.clock.now())
        if session.published is not None:
            raise no_upload()
        session.cancelled = True
        session.turn += 1
        session.writer.discard()
    return Response(499)
