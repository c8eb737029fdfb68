"""GetField and UpdateField of google.firestore.admin.v1.FirestoreAdmin: exemptions from indexes, and policies that expire.

Changes are complete when the call returns, though the service answers with an operation that takes minutes.
"""

import itertools
import re

from google.cloud.firestore_admin_v1.types import field, operation
from google.longrunning import operations_pb2  # type: ignore[import-untyped]

from tests.servers.firestore_errors import invalid, unknown
from tests.servers.firestore_field_settings import CONTAINS, Field, FieldSettings
from tests.servers.firestore_fields import parse_path
from tests.servers.firestore_messages import Message
from tests.servers.firestore_names import check_id

_NAME = re.compile(r"((projects/[^/]+/databases/[^/]+)/collectionGroups/)([^/]+)/fields/(.+)", re.DOTALL)
_Settings = field.Field.pb()
_Progress = operation.FieldOperationMetadata.pb()
_numbers = itertools.count(1)


def parse_field(name: str) -> tuple[str, Field]:
    """Return the database of a field's name, and the field."""
    match = _NAME.fullmatch(name)
    if not match:
        raise invalid(f"{name!r} is not projects/…/databases/…/collectionGroups/<group>/fields/<path>")
    if match.group(4) == "*":
        raise unknown("settings of all fields at once")
    check_id(match.group(3), "collection id")
    return match.group(2), (match.group(3), parse_path(match.group(4)))


def get_field(settings: FieldSettings, request: Message) -> Message:
    """Return what a field has, its own settings or those that it inherits."""
    return _shown(settings, request.name)


def update_field(settings: FieldSettings, request: Message) -> Message:
    """Set what the mask names, and return an operation that is done."""
    _, target = parse_field(request.field.name)
    for part in request.update_mask.paths:
        if part == "index_config":
            _set_indexes(settings, target, request.field)
        elif part == "ttl_config":
            (settings.expiring.add if request.field.HasField(part) else settings.expiring.discard)(target)
        else:
            raise unknown(f"{part!r} in the mask of UpdateField")
    done = operations_pb2.Operation(name=f"{request.field.name}/operations/{next(_numbers)}", done=True)
    done.metadata.Pack(_Progress(field=request.field.name, state=operation.OperationState.SUCCESSFUL))
    done.response.Pack(_shown(settings, request.field.name))
    return done


def _set_indexes(settings: FieldSettings, target: Field, given: Message) -> None:
    """An index_config that is absent returns the field to what it inherits; one without indexes leaves it none."""
    if given.HasField("index_config"):
        settings.indexes[target] = frozenset(_kind(each) for each in given.index_config.indexes)
    else:
        settings.indexes.pop(target, None)


def _kind(index: Message) -> str:
    scopes = type(index).QueryScope
    if index.query_scope != scopes.COLLECTION or len(index.fields) != 1:
        raise unknown("indexes other than of one field in a collection")
    [part] = index.fields
    if part.WhichOneof("value_mode") == "array_config":
        return CONTAINS
    return str(type(part).Order.Name(part.order))


def _shown(settings: FieldSettings, name: str) -> Message:
    _, target = parse_field(name)
    prefix = _NAME.fullmatch(name).group(1)
    shown = _Settings(name=name)
    config = shown.index_config
    config.SetInParent()
    if target not in settings.indexes:
        config.uses_ancestor_config = True
        config.ancestor_field = f"{prefix}__default__/fields/*"
    for kind in sorted(settings.indexes_of(*target)):
        index = config.indexes.add(query_scope="COLLECTION", state="READY")
        mode = {"array_config": kind} if kind == CONTAINS else {"order": kind}
        index.fields.add(field_path=name.rpartition("/fields/")[2], **mode)
    if target in settings.expiring:
        shown.ttl_config.state = type(shown.ttl_config).State.ACTIVE
    return shown
