"""Every kind has an example route on every backend that serves it, and each is one that POST /routing/routes accepts."""

import json
from pathlib import Path
from typing import Any

import pytest

from northstar.modes import LAB, SAAS, SYSTEM_TENANT
from routing.changes import create_tenant
from routing.models import LAB_DEPLOYMENT
from storage.registry import BACKENDS, EMBEDDED, KINDS
from tests.conftest import CAUSE, Api
from tests.docs.test_documents import ROOT

FOLDER = ROOT / "docs/examples/routes"
SERVED = [
    (kind, name)
    for kind, entry in KINDS.items()
    for name, backend in BACKENDS.items()
    if entry.primitive in backend.serves
]
LANDED = [(kind, name) for kind, name in SERVED if BACKENDS[name].serves[KINDS[kind].primitive]]


def example(kind: str, backend: str) -> Path:
    return FOLDER / f"{kind}.{backend}.json"


@pytest.fixture
def post(settings, operator_api: Api) -> Any:
    """Post a body as an operator, to a deployment whose tenants may have that backend."""

    def send(body: dict[str, Any]) -> Any:
        embedded = BACKENDS[body["backend_type"]].backend_class == EMBEDDED
        settings.NORTHSTAR_DEPLOYMENT = LAB_DEPLOYMENT if embedded else "production"
        if body["tenant_id"] != SYSTEM_TENANT:
            create_tenant(body["tenant_id"], "Acme", LAB if embedded else SAAS, CAUSE)
        return operator_api.post("routing/routes", body)

    return send


@pytest.mark.parametrize(("kind", "backend"), LANDED)
def test_an_example_is_accepted(kind, backend, post):
    body = json.loads(example(kind, backend).read_bytes())
    assert (body["resource_kind"], body["backend_type"]) == (kind, backend)
    answer = post(body)
    assert answer.status_code == 201, answer.content
    assert answer.json()["config"] == body["config"]


def test_no_example_is_of_something_that_does_not_exist():
    assert {path.name for path in FOLDER.iterdir()} <= {example(*pair).name for pair in SERVED}


def test_an_example_holds_no_secret_but_references():
    for path in FOLDER.iterdir():
        for name, value in json.loads(path.read_bytes())["config"].items():
            secret = any(word in name for word in ("key", "secret", "credentials", "token", "connection"))
            assert not secret or set(value) == {"$secret"}, f"{path.name}: {name}"
