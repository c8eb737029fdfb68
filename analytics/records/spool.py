"""The spool: submissions that no store could take, each a file below NORTHSTAR_HOME, durable before its records are acknowledged.

    spool/analytics/{tenant}/{env}/{project}/{received}-{records}-{token}.json      without a project, `_`

A submission is carried out under the file's lock, and the file is removed when its records are in the store. Whoever dies in
between leaves the file: carried out again, the store recognises by the token what has come in already, and counts nothing twice.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings

from analytics.records.bodies import Unreadable
from analytics.records.drafts import Submission
from northstar.context import RequestContext
from northstar.errors import InvalidRequest
from northstar.instants import instant_text
from northstar.rendering import dumps
from storage.errors import BackendUnavailable
from storage.keys import escape

SUFFIX: Final = ".json"
DAMAGED: Final = ".damaged"
_UNDER_WAY: Final = ".new"
_log: Final = structlog.get_logger("northstar.spool")


@dataclass(frozen=True, slots=True)
class Spooled:
    """A submission that waits."""

    submission: Submission
    records: list[Any]
    ids: list[str]


def folder() -> Path:
    """Where submissions wait."""
    return Path(settings.NORTHSTAR_HOME) / "spool" / "analytics"


def add(submission: Submission, records: Sequence[Any], ids: Sequence[str]) -> None:
    """Keep a submission, durably. Raises BackendUnavailable when the spool is full or cannot be written."""
    context = submission.context
    place = _place(context.tenant_id, context.env, context.project_id)
    name = f"{submission.received:%Y%m%dT%H%M%S%f}-{len(records)}-{submission.token}{SUFFIX}"
    content = dumps(
        {
            "context": asdict(context),
            "token": submission.token,
            "received": instant_text(submission.received),
            "sent_at": submission.sent_at,
            "ids": list(ids),
            "records": [_packed(record) for record in records],
        }
    )
    try:
        _check_room(len(content))
        _write(place, name, content)
    except OSError as error:
        raise BackendUnavailable(
            f"The store is away, and the spool cannot be written: {error.strerror or error}.",
            fix="Send the records again later, and look at the free space below NORTHSTAR_HOME.",
        ) from error


def waiting(tenant_id: str, env: str, project_id: str | None) -> int:
    """How many records of a scope wait on this machine."""
    return sum(map(_count, sorted(_place(tenant_id, env, project_id).glob(f"*{SUFFIX}"))))


def all_waiting() -> int:
    """How many records wait on this machine."""
    return sum(map(_count, _files()))


def damaged() -> list[str]:
    """The names of submissions that could not be read."""
    return sorted(path.name for path in folder().glob(f"*/*/*/*{DAMAGED}"))


def places_waiting() -> Iterator[tuple[Path, list[Path]]]:
    """The files of each scope, in the order in which they came."""
    groups: dict[Path, list[Path]] = {}
    for path in _files():
        groups.setdefault(path.parent, []).append(path)
    yield from groups.items()


@contextmanager
def taken(path: Path) -> Iterator[Spooled | None]:
    """Hold one file against all other processes, and remove it when the body succeeds. None: it is gone, held or damaged."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        found = _read(path, descriptor) if _is_ours(descriptor) else None
        yield found
        if found:
            path.unlink(missing_ok=True)
            _sync(path.parent)
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0  # else somebody has just carried it out


def _read(path: Path, descriptor: int) -> Spooled | None:
    with open(descriptor, "rb", closefd=False) as file:
        raw = file.read()
    try:
        content = json.loads(raw)  # our own text: it may be nested deeper than what a client may send
        context = RequestContext(**content["context"])
        received = datetime.fromisoformat(content["received"])
        submission = Submission(context, content["token"], received, content["sent_at"])
        return Spooled(submission, [_unpacked(one) for one in content["records"]], content["ids"])
    except (InvalidRequest, KeyError, TypeError, ValueError) as error:
        path.rename(path.with_suffix(DAMAGED))
        _log.error("spooled_submission_damaged", path=path.name, error=str(error))
        return None


def _packed(record: Any) -> dict[str, Any]:
    if isinstance(record, Unreadable):
        return {"unreadable": base64.b64encode(record.raw).decode()}
    return {"record": record}


def _unpacked(packed: dict[str, Any]) -> Any:
    if "unreadable" in packed:
        raw = base64.b64decode(packed["unreadable"])
        return Unreadable(raw, InvalidRequest("The line is not JSON."))
    return packed["record"]


def _place(tenant_id: str, env: str, project_id: str | None) -> Path:
    project = "_" if project_id is None else "@" + escape(project_id)
    return folder() / escape(tenant_id) / escape(env) / project


def _count(path: Path) -> int:
    return int(path.name.split("-")[1])


def _files() -> list[Path]:
    return sorted(folder().glob(f"*/*/*/*{SUFFIX}"))


def _check_room(size: int) -> None:
    used = sum(path.stat().st_size for path in _files())
    if used + size > settings.NORTHSTAR_SPOOL_BYTES:
        raise BackendUnavailable(
            f"The store is away, and the spool is full: {used} bytes wait in it.",
            fix="Send the records again later. An operator may raise NORTHSTAR_SPOOL_BYTES.",
        )


def _write(place: Path, name: str, content: bytes) -> None:
    _make(place)
    draft = place / (name + _UNDER_WAY)
    draft.unlink(missing_ok=True)  # of an earlier try under the same token that died
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(place / name)
    _sync(place)


def _make(place: Path) -> None:
    missing = [one for one in (place, *place.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        _sync(one.parent)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["Spooled", "add", "all_waiting", "damaged", "folder", "places_waiting", "taken", "waiting"]
