"""A probe: does the place behind a route take a write, give it back, list it and delete it, now?

It writes where no caller can: below a tenant that cannot exist, or, on an embedded backend, into a folder of its own.
"""

import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from django.conf import settings

from northstar.errors import NorthstarError, NotFound, RateLimited
from routing.resolve import driver_config, snapshot
from routing.snapshot import ResolvedRoute
from storage.blob_guard import GuardedBlobs
from storage.config import BackendConfig
from storage.documents import ABSENT, Ref
from storage.errors import BackendRejected, BackendUnavailable
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from storage.opening import Adapter, adapter_for
from storage.registry import BACKENDS, BLOBS, EMBEDDED, kind_named

PROBE_SECONDS: Final = 10.0
"""A probe that takes longer has failed."""
PROBES_AT_ONCE: Final = 16
"""Of one process: services that hang must not collect its threads."""
LEFT_BEHIND_SECONDS: Final = 3600
"""What a probe that was killed has left is removed by the next one after this time."""
METERED_AS: Final = "probe"

_SCOPE: Final = Scope("~probe", "probe")
"""No tenant's id begins with a tilde (`routing.patterns`)."""
_COLLECTION: Final = "probe"
_PARTITION: Final = ("probe",)
_FOLDER: Final = ".probe-"
"""No folder of data begins with a dot: `storage.keys.escape` leaves none."""
_PAGE: Final = 1000

_slots: Final = threading.BoundedSemaphore(PROBES_AT_ONCE)


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a probe saw. `steps` are those that were done, in order, with their milliseconds: write, read, list, delete.

    `ok` means all four. Else `error_code`, `error` and `fix` say why the next one was not; none of them holds a secret.
    """

    ok: bool
    steps: tuple[tuple[str, float], ...]
    error_code: str
    error: str
    fix: str
    at: datetime
    revision: int = 0
    """Of the route that was probed; 0 for a place that no route names."""


def probe_route(route_id: int, *, seconds: float = PROBE_SECONDS) -> ProbeReport:
    """Probe the place of a route, enabled or not, with a driver of its own. Nothing that it writes stays.

    Answers within `seconds`; what still hangs then cleans up by itself when the service answers. Raises NotFound, or
    RateLimited when too many probes hang. Whatever else is wrong is in the report.
    """
    return begin_probe(route_id).report(seconds)


def begin_probe(route_id: int) -> "PendingProbe":
    """Begin what `probe_route` does, so that several may be under way. Raises as it does."""
    now = snapshot()
    route = next((route for route in now.all_routes().values() if route.id == route_id), None)
    if route is None:
        raise NotFound(f"There is no route {route_id}.")
    mode = now.modes[route.tenant_id]
    return PendingProbe(lambda: _target_of(route, mode), route.revision)


def probe_target(
    resource_kind: str, backend_type: str, config: BackendConfig, *, mode: str, seconds: float = PROBE_SECONDS
) -> ProbeReport:
    """Probe a place that no route names yet, as `probe_route` does; nothing is saved.

    `config` is complete with its secrets and `mode` the tenant's effective one: what `routing.admission.admit` gives and takes.
    """
    return PendingProbe(lambda: _Target(resource_kind, backend_type, config, mode)).report(seconds)


@dataclass(frozen=True, slots=True)
class _Target:
    resource_kind: str
    backend_type: str
    config: BackendConfig
    mode: str

    def adapter(self, config: BackendConfig) -> Adapter:
        return adapter_for(self.resource_kind, self.backend_type, config, mode=self.mode)


def _target_of(route: ResolvedRoute, mode: str) -> _Target:
    return _Target(route.resource_kind, route.backend_type, driver_config(route), mode)


@dataclass(slots=True)
class _Progress:
    steps: list[tuple[str, float]] = field(default_factory=list)
    error: NorthstarError | None = None
    finished: bool = False

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.steps.append((name, round((time.perf_counter() - started) * 1000, 3)))


class PendingProbe:
    """A probe under way in a thread of its own, so that a service that hangs holds up nobody for longer than it may."""

    def __init__(self, target: "Callable[[], _Target]", revision: int = 0) -> None:
        if not _slots.acquire(blocking=False):
            raise RateLimited(f"{PROBES_AT_ONCE} probes are under way here.", fix="Try again when some have ended.")
        self._at, self._revision, self._progress = datetime.now(UTC), revision, _Progress()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=_run, args=(target, self._progress), name="northstar-probe", daemon=True)
        self._thread.start()

    def report(self, seconds: float) -> ProbeReport:
        """Wait until `seconds` after the beginning, and say what came of it."""
        self._thread.join(max(0.0, self._began + seconds - time.monotonic()))
        steps, error = tuple(self._progress.steps), self._progress.error
        if self._progress.finished:
            return ProbeReport(True, steps, "", "", "", self._at, self._revision)
        if error is None and self._thread.is_alive():
            error = BackendUnavailable(f"The service did not answer within {seconds:g} seconds.")
        error = error or NorthstarError("The probe broke off.", fix="Look for it in the server's log.")
        return ProbeReport(False, steps, error.code, error.told(), error.fix, self._at, self._revision)


def _run(target: Callable[[], _Target], progress: _Progress) -> None:
    try:
        with _place(target()) as place:
            _probe(place, progress)
        progress.finished = True
    except NorthstarError as error:
        progress.error = error
    finally:
        _slots.release()


def _probe(place: "_Place", progress: _Progress) -> None:
    key = _new_key()
    try:
        with progress.step("write"):
            place.write(key)
        with progress.step("read"):
            _expect(place.holds(key), "does not give back what was written")
        with progress.step("list"):
            listed = place.keys()
            _expect(key in listed or len(listed) == _PAGE, "does not list what was written")
    except NorthstarError:
        with suppress(NorthstarError):  # the first error is the one to tell; a later probe removes what stays
            place.delete(key)
        raise
    with progress.step("delete"):
        place.delete(key)
    for old in filter(_is_left_behind, listed):
        place.delete(old)


def _expect(held: bool, complaint: str) -> None:
    if not held:
        raise BackendRejected(
            f"The service {complaint}.", fix="Check that the route leads to one place, not to several."
        )


def _new_key() -> str:
    return f"{int(time.time()):010d}-{secrets.token_hex(8)}"


def _is_left_behind(key: str) -> bool:
    began = key.partition("-")[0]
    return began.isdecimal() and int(began) < time.time() - LEFT_BEHIND_SECONDS


class _Place(Protocol):
    def write(self, key: str) -> None: ...
    def holds(self, key: str) -> bool: ...
    def keys(self) -> list[str]: ...
    def delete(self, key: str) -> None: ...


class _DocumentPlace:
    def __init__(self, documents: GuardedDocuments) -> None:
        self._documents = documents

    def write(self, key: str) -> None:
        self._documents.put(self._ref(key), {"probe": key}, expect=ABSENT)

    def holds(self, key: str) -> bool:
        document = self._documents.get(self._ref(key))
        return document is not None and document.fields == {"probe": key}

    def keys(self) -> list[str]:
        return [document.ref.key for document in self._documents.scan(_COLLECTION, _PARTITION, limit=_PAGE).documents]

    def delete(self, key: str) -> None:
        self._documents.delete(self._ref(key))

    def _ref(self, key: str) -> Ref:
        return Ref(_COLLECTION, _PARTITION, key)


class _BlobPlace:
    def __init__(self, blobs: GuardedBlobs) -> None:
        self._blobs = blobs

    def write(self, key: str) -> None:
        self._blobs.put(key, [key.encode()], content_type="text/plain")

    def holds(self, key: str) -> bool:
        blob = self._blobs.get(key)
        return blob is not None and b"".join(blob.chunks) == key.encode()

    def keys(self) -> list[str]:
        return [entry.key for entry in self._blobs.list(limit=_PAGE).blobs]

    def delete(self, key: str) -> None:
        self._blobs.delete(key)


@contextmanager
def _place(target: _Target) -> Iterator[_Place]:
    if BACKENDS[target.backend_type].backend_class != EMBEDDED:
        yield _guarded(target, target.adapter(target.config))
        return
    with _own_folder(target.config) as folder:
        adapter = target.adapter(target.config.model_copy(update={"base_dir": str(folder)}))
        try:
            yield _guarded(target, adapter)
        finally:
            adapter.driver.close()


def _guarded(target: _Target, adapter: Adapter) -> _Place:
    options: dict[str, Any] = {
        "scope": _SCOPE,
        "served_by": ServedBy(0, 0, target.backend_type),
        "kind": METERED_AS,
        "secrets": adapter.secrets,
        "lease": adapter,
    }
    if kind_named(target.resource_kind).primitive == BLOBS:
        return _BlobPlace(GuardedBlobs(adapter.driver, **options))
    return _DocumentPlace(GuardedDocuments(adapter.driver, **options))


@contextmanager
def _own_folder(config: Any) -> Iterator[Path]:
    """A folder below the root that the config names: its driver leaves empty folders and logs, which go with it."""
    root = Path(settings.NORTHSTAR_HOME) / (config.base_dir or "")
    folder = root / f"{_FOLDER}{_new_key()}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for other in root.glob(f"{_FOLDER}*"):
            if _is_left_behind(other.name.removeprefix(_FOLDER)):
                shutil.rmtree(other, ignore_errors=True)
