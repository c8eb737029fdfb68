"""Drivers over a Firestore server, for the tests of documents, streams and the driver itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from northstar.context import RequestContext
from northstar.modes import SAAS
from storage.backends.firestore import FirestoreDocuments
from storage.backends.firestore_config import FirestoreConfig
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from tests.contract.document_contract import OpenDocuments
from tests.stack.fixtures import FirestoreProject

BACKEND = "firestore (test server)"
EMULATOR = "firestore (Google emulator)"
SERVED_BY = ServedBy(1, 1, "firestore")


def allow(settings: Any, *addresses: str) -> None:
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = [f"http://{address}" for address in addresses]


def driver_at(project: FirestoreProject, address: str = "", **config: Any) -> FirestoreDocuments:
    """A driver of this project, at its server or through a proxy before it. The address must be allowed."""
    endpoint = f"http://{address or project.address}"
    schema = FirestoreConfig(project=project.project, endpoint=endpoint, **config)
    return FirestoreDocuments(schema, mode=SAAS, epoch=1)


def guarded(driver: FirestoreDocuments, tenant="acme", env="dev", project=None, surface="_") -> GuardedDocuments:
    return GuardedDocuments(driver, scope=Scope(tenant, env, project, surface), served_by=SERVED_BY)


@contextmanager
def opened(project: FirestoreProject, settings: Any) -> Iterator[OpenDocuments]:
    """One driver for all scopes, as one route has."""
    allow(settings, project.address)
    driver = driver_at(project)
    yield lambda *scope, **parts: guarded(driver, *scope, **parts)
    driver.close()


@contextmanager
def opened_kinds(project: FirestoreProject, settings: Any, kind_class: Any, kind: str) -> Iterator[Any]:
    """A kind of a tenant; each call has a driver of its own, as another process would."""
    allow(settings, project.address)
    drivers: list[FirestoreDocuments] = []

    def open_kind(tenant: str = "acme") -> Any:
        drivers.append(driver_at(project))
        context = RequestContext(tenant, "dev", SAAS)
        documents = GuardedDocuments(drivers[-1], scope=Scope.of(context), served_by=SERVED_BY, kind=kind)
        return kind_class(documents, context)

    yield open_kind
    for driver in drivers:
        driver.close()
