"""Where the demo's data lies: on the filesystem, or for one run documents or objects on another backend, at its own address."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from northstar.demo.report import Report
from northstar.demo.stage import ENV, OTHER_TENANT
from northstar.quickstart import DEMO_TENANT, ensure_filesystem_routes
from routing.changes import Cause, RouteDraft, put_route
from routing.configs import config_class
from routing.preparation import prepare_routes
from storage.registry import BLOBS, KINDS, backend_named

CAUSE: Final = Cause("command:demo", rationale="The demo runs on another backend.")
OVER: Final = Cause("command:demo", rationale="The demo is over.")
_REFERENCES: Final = ("env:", "file:")


@dataclass(frozen=True, slots=True)
class OtherBackend:
    """A backend for documents or for objects, and its config, which may hold secrets."""

    backend_type: str
    config: Mapping[str, Any] = field(repr=False)

    @property
    def serves_objects(self) -> bool:
        """Whether it is the objects that lie there, else it is the documents."""
        return BLOBS in backend_named(self.backend_type).serves

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds whose routes lead there."""
        return _kinds(self.backend_type)

    @property
    def env(self) -> str:
        """An environment of its own, so that the routes of the usual demo stay as they are."""
        return f"{ENV}-{self.backend_type.replace('_', '-')}"

    @property
    def place(self) -> str:
        """The service, for people."""
        return f"{backend_named(self.backend_type).title} at {self.config.get('endpoint', 'its own address')}"


def other_backend(backend_type: str, endpoint: str | None, options: Mapping[str, str]) -> OtherBackend:
    """Return the backend with its config; a secret may be a reference, `env:NORTHSTAR_SECRET_…` or `file:<name>`.

    Raises UnsupportedBackend or BackendNotImplemented; whether the config fits is told when a route is made of it.
    """
    secrets = config_class(_kinds(backend_type)[0], backend_type).secret_fields()
    config: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    for name, value in options.items():
        refers = name in secrets and value.startswith(_REFERENCES)
        config[name] = {"$secret": value} if refers else value
    return OtherBackend(backend_type.lower(), config)


def _kinds(backend_type: str) -> tuple[str, ...]:
    serves = backend_named(backend_type).serves
    return tuple(name for name, kind in KINDS.items() if kind.primitive in serves)


@contextmanager
def data_on(backend: OtherBackend | None, report: Report, *, keep: bool) -> Iterator[str]:
    """Give the demo's tenants their routes, those that it serves to the backend, and yield the environment that they are in.

    Unless `keep`, the routes lead to the filesystem again afterwards: an emulator is gone when its demo is.
    Raises what saving a route or preparing its service raises.
    """
    env = backend.env if backend else ENV
    for tenant in (DEMO_TENANT, OTHER_TENANT):
        ensure_filesystem_routes(tenant, env)
    if backend is None:
        yield env
        return
    what, others = ("Objects", "documents") if backend.serves_objects else ("Documents", "objects")
    try:
        _lead(backend, backend.backend_type, backend.config, CAUSE)
        report.say(f"{what} of {DEMO_TENANT}/{env} go to {backend.place}; {others} go to the filesystem.")
        _prepare(env)
        yield env
    finally:
        if not keep:
            _lead(backend, "filesystem", {}, OVER)
    report.say(_left(backend, keep=keep))


def _lead(backend: OtherBackend, backend_type: str, config: Mapping[str, Any], cause: Cause) -> None:
    for kind in backend.kinds:
        draft = RouteDraft(
            resource_kind=kind, tenant_id=DEMO_TENANT, env=backend.env, backend_type=backend_type, config=config
        )
        put_route(draft, cause)


def _prepare(env: str) -> None:
    for preparation in prepare_routes(tenant=DEMO_TENANT, env=env):
        if preparation.error:
            raise preparation.error


def _left(backend: OtherBackend, *, keep: bool) -> str:
    what = "Objects" if backend.serves_objects else "Records, events"
    if keep:
        return f"{what} and routes of {DEMO_TENANT}/{backend.env} stay on {backend.place}."
    gone = (
        "The objects are deleted"
        if backend.serves_objects
        else f"The records are deleted. The events stay on {backend.place}, because streams are only appended to"
    )
    return f"{gone}; the routes of {DEMO_TENANT}/{backend.env} lead to the filesystem again."
