"""Drivers over a Firestore server, for the tests of documents, streams and the driver itself."""

import http.client
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
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


def closing_driver(project: FirestoreProject, settings: Any) -> AbstractContextManager[FirestoreDocuments]:
    """A driver of this project, prepared, that is closed at the end."""
    allow(settings, project.address)
    driver = driver_at(project)
    driver.prepare()
    return closing(driver)


class Control:
    """What our own server tells and does about one project, besides Firestore's calls."""

    def __init__(self, project: FirestoreProject) -> None:
        self._project = project

    def calls(self) -> dict[str, int]:
        """How often each of Firestore's methods was called, failures too, since the last time that this was asked."""
        counted: dict[str, int] = self._ask("GET", f"calls?project={self._project.project}")
        self._ask("DELETE", "calls")
        return counted

    def fault(self, method: str, code: str | None = None, **options: Any) -> None:
        """Let calls of a method fail; `count`, `after` (the answer alone is lost) and `delay_seconds` may be given."""
        self._ask("POST", "faults", method=method, code=code, project=self._project.project, **options)

    def clear(self) -> None:
        """Let no call fail any more."""
        self._ask("DELETE", "faults")

    def reap(self) -> int:
        """Delete what the policy of our database may delete now, and return how many documents that were."""
        answer = self._ask("POST", "reap", database=f"projects/{self._project.project}/databases/(default)")
        return int(answer["reaped"])

    def _ask(self, verb: str, path: str, /, **body: Any) -> Any:
        connection = http.client.HTTPConnection(self._project.address, timeout=30)
        try:
            connection.request(verb, f"/control/{path}", json.dumps(body) if body else None)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == http.client.OK, answer
            return json.loads(answer)
        finally:
            connection.close()


@contextmanager
def opened(project: FirestoreProject, settings: Any) -> Iterator[OpenDocuments]:
    """One driver for all scopes, as one route has."""
    with closing_driver(project, settings) as driver:
        yield lambda *scope, **parts: guarded(driver, *scope, **parts)


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
