"""Where the demo's documents lie: on the filesystem, or for one run on another backend, at an address of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from northstar.config_options import config_of
from northstar.demo.report import Report
from northstar.demo.stage import ENV, OTHER_TENANT
from northstar.quickstart import DEMO_TENANT, ensure_filesystem_routes
from routing.changes import Cause, RouteDraft, put_route
from routing.preparation import prepare_routes
from storage.registry import DOCUMENTS, KINDS, backend_named

KINDS_OF_DOCUMENTS: Final = tuple(
    name for name, kind in KINDS.items() if kind.primitive == DOCUMENTS and not kind.of_system
)
CAUSE: Final = Cause("command:demo", rationale="The demo runs on another backend.")
OVER: Final = Cause("command:demo", rationale="The demo is over.")


@dataclass(frozen=True, slots=True)
class DocumentBackend:
    """A backend for documents and its config, which may hold secrets."""

    backend_type: str
    config: Mapping[str, Any] = field(repr=False)

    @property
    def env(self) -> str:
        """An environment of its own, so that the routes of the usual demo stay as they are."""
        return f"{ENV}-{self.backend_type}"

    @property
    def place(self) -> str:
        """The service, for people."""
        return f"{backend_named(self.backend_type).title} at {self.config.get('endpoint', 'its own address')}"


def document_backend(backend_type: str, endpoint: str | None, options: Mapping[str, str]) -> DocumentBackend:
    """Return the backend with its config; a secret may be a reference, `env:NORTHSTAR_SECRET_…` or `file:<name>`.

    Raises UnsupportedBackend or BackendNotImplemented; whether the config fits is told when a route is made of it.
    """
    config = config_of(KINDS_OF_DOCUMENTS[0], backend_type, options)
    return DocumentBackend(backend_type.lower(), ({"endpoint": endpoint} if endpoint else {}) | config)


@contextmanager
def documents_on(backend: DocumentBackend | None, report: Report, *, keep: bool) -> Iterator[str]:
    """Give the demo's tenants their routes, those of documents to the backend, and yield the environment that they are in.

    Unless `keep`, the routes lead to the filesystem again afterwards: an emulator is gone when its demo is.
    Raises what saving a route or preparing its service raises.
    """
    env = backend.env if backend else ENV
    for tenant in (DEMO_TENANT, OTHER_TENANT):
        ensure_filesystem_routes(tenant, env)
    if backend is None:
        yield env
        return
    try:
        _lead(env, backend.backend_type, backend.config, CAUSE)
        report.say(f"Documents of {DEMO_TENANT}/{env} go to {backend.place}; objects go to the filesystem.")
        _prepare(env)
        yield env
    finally:
        if not keep:
            _lead(env, "filesystem", {}, OVER)
    report.say(_left(backend, keep=keep))


def _lead(env: str, backend_type: str, config: Mapping[str, Any], cause: Cause) -> None:
    for kind in KINDS_OF_DOCUMENTS:
        draft = RouteDraft(resource_kind=kind, tenant_id=DEMO_TENANT, env=env, backend_type=backend_type, config=config)
        put_route(draft, cause)


def _prepare(env: str) -> None:
    for preparation in prepare_routes(tenant=DEMO_TENANT, env=env):
        if preparation.error:
            raise preparation.error


def _left(backend: DocumentBackend, *, keep: bool) -> str:
    if keep:
        return f"Records, events and routes of {DEMO_TENANT}/{backend.env} stay on {backend.place}."
    return (
        f"The records are deleted. The events stay on {backend.place}, because streams are only appended to; "
        f"the routes of {DEMO_TENANT}/{backend.env} lead to the filesystem again."
    )
