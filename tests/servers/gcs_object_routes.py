"""The JSON API's methods on objects, but for uploads."""

from collections.abc import Mapping
from typing import Any

from tests.servers.gcs_contents import stored
from tests.servers.gcs_errors import bad_request
from tests.servers.gcs_fields import selected
from tests.servers.gcs_media import media
from tests.servers.gcs_names import check_kms_key, check_object_name
from tests.servers.gcs_objects import CHECKSUMS, OUTPUT_ONLY, Fields, ObjectVersion
from tests.servers.gcs_preconditions import Preconditions
from tests.servers.gcs_requests import Request, Response, json_response, number
from tests.servers.gcs_rewrites import Step, call_limit
from tests.servers.gcs_service import Service

CONDITIONS = ("ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch")
SOURCE_CONDITIONS = tuple(name.replace("if", "ifSource", 1) for name in CONDITIONS)
KMS_KEY = "destinationKmsKeyName"
MAX_COMPONENTS = 32
"""Objects that one compose takes ("Composite objects")."""


def _read(service: Service, request: Request, bucket: str, name: str) -> ObjectVersion:
    parameters = request.only({"generation", "projection", *CONDITIONS})
    version = service.bucket(bucket).version(name, number(parameters, "generation"))
    Preconditions.of_parameters(parameters).check_read(version)
    return version


def get(service: Service, request: Request, bucket: str, name: str) -> Response:
    with service.lock:
        resource = _read(service, request, bucket, name).resource(request.base)
    return json_response(selected(resource, request.parameters.get("fields")))


def download(service: Service, request: Request, bucket: str, name: str) -> Response:
    with service.lock:
        return media(_read(service, request, bucket, name), request.headers)


def delete(service: Service, request: Request, bucket: str, name: str) -> Response:
    """Delete an object, or one generation for good. Raises a 404, and a 412."""
    parameters = request.only({"generation", *CONDITIONS})
    generation = number(parameters, "generation")
    with service.lock:
        home = service.bucket(bucket)
        version = home.version(name, generation)
        Preconditions.of_parameters(parameters).check_write(version)
        if generation is None:
            home.retire(name, service.clock.now())
        else:
            home.remove(version)
    return Response(204)


def change(service: Service, request: Request, bucket: str, name: str) -> Response:
    """Patch or replace an object's fields; the metageneration goes up by one."""
    parameters = request.only({"generation", "projection", *CONDITIONS})
    given = request.json()
    with service.lock:
        version = service.bucket(bucket).version(name, number(parameters, "generation"))
        Preconditions.of_parameters(parameters).check_write(version)
        before = version.fields if request.method == "PATCH" else Fields(storage_class=version.fields.storage_class)
        version.fields = before.patched(given)
        version.metageneration += 1
        version.updated = service.clock.now()
        return json_response(selected(version.resource(request.base), parameters.get("fields")))


def compose(service: Service, request: Request, bucket: str, name: str) -> Response:
    """Put objects of the bucket one after another into a new one, which has no MD5."""
    parameters = request.only({"ifGenerationMatch", "ifMetagenerationMatch"})
    given = request.json()
    parts = given.get("sourceObjects") or []
    if given.keys() - {"kind", "sourceObjects", "destination"}:
        raise bad_request(f"This server composes from sourceObjects and destination alone, not {sorted(given)}")
    if not 1 <= len(parts) <= MAX_COMPONENTS:
        raise bad_request(f"The number of source components provided ({len(parts)}) is not 1 to {MAX_COMPONENTS}.")
    with service.lock:
        sources = [_component(service, bucket, part) for part in parts]
    content = stored((piece for one in sources for piece in one.content.pieces()), service.limits.object_bytes)
    components = sum(one.components or 1 for one in sources)
    fields = Fields.parsed(given.get("destination") or {}).typed("")
    preconditions = Preconditions.of_parameters(parameters)
    version = service.publish(bucket, name, content, fields, preconditions=preconditions, components=components)
    return json_response(selected(version.resource(request.base), parameters.get("fields")))


def _component(service: Service, bucket: str, part: Mapping[str, Any]) -> ObjectVersion:
    generation = part.get("generation")
    source = service.bucket(bucket).version(
        str(part.get("name", "")), None if generation is None else number({"generation": str(generation)}, "generation")
    )
    conditions = {name: str(value) for name, value in (part.get("objectPreconditions") or {}).items()}
    Preconditions.of_parameters(conditions).check_write(source)
    return source


def copy(service: Service, request: Request, source: tuple[str, str], target: tuple[str, str]) -> Response:
    parameters = request.only({"sourceGeneration", "projection", KMS_KEY, *CONDITIONS, *SOURCE_CONDITIONS})
    given = request.json()
    with service.lock:
        version = _source(service, parameters, source)
        copied = _copied(service, version, given, parameters, target)
    return json_response(selected(copied.resource(request.base), parameters.get("fields")))


def rewrite(service: Service, request: Request, source: tuple[str, str], target: tuple[str, str]) -> Response:
    """Copy, in several calls where a call may not copy as much as there is."""
    known = {"sourceGeneration", "projection", "rewriteToken", "maxBytesRewrittenPerCall", KMS_KEY}
    parameters = request.only({*known, *CONDITIONS, *SOURCE_CONDITIONS})
    given = request.json()
    limit = call_limit(number(parameters, "maxBytesRewrittenPerCall"))
    with service.lock:
        version = _source(service, parameters, source)
        # Within one class and key the service copies no bytes, so the client's limit has no effect.
        if limit is None or _keeps_its_bytes(service, version, given, parameters, target):
            limit = service.limits.rewrite_bytes
        step = Step((*source, version.generation), target, version.content.size, limit)
        done, token = service.rewrites.advance(step, parameters.get("rewriteToken"))
        size = {"totalBytesRewritten": str(done), "objectSize": str(version.content.size)}
        shown: dict[str, Any] = {"kind": "storage#rewriteResponse", **size, "done": token is None}
        if token is not None:
            return json_response(selected({**shown, "rewriteToken": token}, parameters.get("fields")))
        shown["resource"] = _copied(service, version, given, parameters, target).resource(request.base)
    return json_response(selected(shown, parameters.get("fields")))


def _keeps_its_bytes(
    service: Service,
    version: ObjectVersion,
    given: Mapping[str, Any],
    parameters: Mapping[str, str],
    target: tuple[str, str],
) -> bool:
    home = service.bucket(target[0])
    same_class = (given.get("storageClass") or home.storage_class) == version.fields.storage_class
    return same_class and (parameters.get(KMS_KEY) or home.kms_key) == version.kms_key


def move(service: Service, request: Request, source: tuple[str, str], name: str) -> Response:
    """Rename an object, in one step, to the same fields under a new generation ("Objects: move")."""
    parameters = request.only({"projection", *CONDITIONS, *SOURCE_CONDITIONS})
    bucket, before = source
    if name == before:
        raise bad_request("The source and destination object names must be different.")
    check_object_name(name)
    with service.lock:
        home = service.bucket(bucket)
        version = home.version(before)
        Preconditions.of_parameters(parameters, "ifSource").check_write(version)
        moved = service.publish(
            bucket,
            name,
            version.content,
            version.fields,
            preconditions=Preconditions.of_parameters(parameters),
            components=version.components,
            kms_key=version.kms_key,
        )
        home.retire(before, service.clock.now())
    return json_response(selected(moved.resource(request.base), parameters.get("fields")))


def _source(service: Service, parameters: Mapping[str, str], source: tuple[str, str]) -> ObjectVersion:
    version = service.bucket(source[0]).version(source[1], number(parameters, "sourceGeneration"))
    Preconditions.of_parameters(parameters, "ifSource").check_write(version)
    return version


def _copied(
    service: Service,
    version: ObjectVersion,
    given: Mapping[str, Any],
    parameters: Mapping[str, str],
    target: tuple[str, str],
) -> ObjectVersion:
    """Publish a copy. A body with fields in it replaces all fields of the source; without any they are copied."""
    settable = {name: value for name, value in given.items() if name not in OUTPUT_ONLY | CHECKSUMS}
    fields = Fields.parsed(settable).typed("") if settable else version.fields
    preconditions = Preconditions.of_parameters(parameters)
    return service.publish(
        *target,
        version.content,
        fields,
        preconditions=preconditions,
        components=version.components,
        kms_key=check_kms_key(parameters.get(KMS_KEY, "")),
    )
