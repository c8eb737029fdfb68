"""One write of a commit: what it asks for, what it demands of the stored document, and what becomes of that."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc

from tests.servers.firestore_errors import Refused, invalid
from tests.servers.firestore_fields import FieldPath, get_field, parse_path, remove_field, set_field
from tests.servers.firestore_limits import check_fields
from tests.servers.firestore_messages import Document, DocumentMessage, Fields, Message, ValueMessage, WriteMessage
from tests.servers.firestore_names import Path, parse_document
from tests.servers.firestore_transforms import apply_transforms, check_transforms


@dataclass(frozen=True)
class PlannedWrite:
    """A write that is well-formed. `mask` None replaces the whole document; `fields` None deletes it."""

    name: str
    path: Path
    fields: Fields | None
    mask: list[FieldPath] | None = None
    transforms: list[Message] = field(default_factory=list)
    exists: bool | None = None
    update_time: int | None = None

    @property
    def deletes(self) -> bool:
        return self.fields is None

    def apply(self, before: DocumentMessage | None, now: int) -> tuple[DocumentMessage | None, list[ValueMessage]]:
        """Return the document after this write, its fields alone, and the results of the transforms."""
        if self.fields is None:
            return None, []
        after = Document(name=self.name)
        if self.mask is None:
            _copy(self.fields, after.fields)
        else:
            if before is not None:
                _copy(before.fields, after.fields)
            self._apply_mask(after.fields, self.fields, self.mask)
        return after, apply_transforms(after.fields, self.transforms, now)

    @staticmethod
    def _apply_mask(stored: Fields, given: Fields, mask: list[FieldPath]) -> None:
        for path in mask:
            value = get_field(given, path)
            if value is None:
                remove_field(stored, path)
            else:
                set_field(stored, path, value)

    def check(self, current: DocumentMessage | None, stored: DocumentMessage | None) -> None:
        """Hold the precondition against the document as this commit has it by now, and its time against the stored one."""
        if self.exists is True and current is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"No document to update: {self.name}")
        if self.exists is False and current is not None:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Document already exists: {self.name}")
        version = stored.update_time.ToMicroseconds() if stored is not None else 0
        if self.update_time is not None and self.update_time != version:
            details = f"the stored version ({version}) does not match the required base version ({self.update_time})"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, details)


def plan_write(message: WriteMessage, database: str) -> PlannedWrite:
    """Read a write. Refused when it is malformed, whatever is stored."""
    match message.WhichOneof("operation"):
        case "update":
            return _plan_update(message, database)
        case "delete":
            return _plan_delete(message, database)
        case "transform":
            return _plan_transform(message, database)
        case _:
            raise invalid("a write is empty, or of a kind that this server does not know")


def _plan_update(message: WriteMessage, database: str) -> PlannedWrite:
    _, path = parse_document(message.update.name, database)
    check_fields(message.update.fields)
    check_transforms(message.update_transforms)
    mask = [parse_path(text) for text in message.update_mask.field_paths] if message.HasField("update_mask") else None
    exists, update_time = _precondition(message)
    fields, transforms = message.update.fields, list(message.update_transforms)
    return PlannedWrite(message.update.name, path, fields, mask, transforms, exists, update_time)


def _plan_delete(message: WriteMessage, database: str) -> PlannedWrite:
    _, path = parse_document(message.delete, database)
    if message.HasField("update_mask") or message.update_transforms:
        raise invalid("a delete takes neither a mask nor transforms")
    exists, update_time = _precondition(message)
    return PlannedWrite(message.delete, path, None, exists=exists, update_time=update_time)


def _plan_transform(message: WriteMessage, database: str) -> PlannedWrite:
    """The older form: the same as an update of no field with these transforms."""
    given = message.transform
    _, path = parse_document(given.document, database)
    if not given.field_transforms or message.HasField("update_mask") or message.update_transforms:
        raise invalid("a transform needs field transforms, and takes neither a mask nor more of them")
    check_transforms(given.field_transforms)
    exists, update_time = _precondition(message)
    return PlannedWrite(given.document, path, {}, [], list(given.field_transforms), exists, update_time)


def _precondition(message: WriteMessage) -> tuple[bool | None, int | None]:
    given = message.current_document
    match given.WhichOneof("condition_type"):
        case "exists":
            return given.exists, None
        case "update_time":
            if given.update_time.nanos % 1000:
                raise invalid("the update_time of a precondition cannot be more precise than microseconds")
            return None, given.update_time.ToMicroseconds()
        case _:
            return None, None


def check_sequence(writes: Iterable[PlannedWrite]) -> None:
    """Refuse a commit whose writes of one document contradict each other, such as two creations."""
    there: dict[Path, bool] = {}
    times: dict[Path, int | None] = {}
    for write in writes:
        if write.path in there:
            expected = True if write.update_time is not None else write.exists
            if expected not in {None, there[write.path]}:
                raise invalid(f"the writes of {write.name} in one request contradict each other")
            if write.update_time not in {None, times[write.path]}:
                raise invalid(f"the writes of {write.name} in one request demand different versions")
        times.setdefault(write.path, write.update_time)
        there[write.path] = not write.deletes


def _copy(source: Fields, target: Fields) -> None:
    for name in source:
        target[name].CopyFrom(source[name])
