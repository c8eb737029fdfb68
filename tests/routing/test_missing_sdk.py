"""Without a backend's SDK: what names the backend is refused with the fix, and everything else works."""

from dataclasses import replace

import pytest

from northstar.errors import BackendNotImplemented
from routing.changes import create_route
from storage.registry import BACKENDS, driver_class, is_installed
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import VAULT


@pytest.fixture
def vault_without_sdk(monkeypatch):
    monkeypatch.setitem(BACKENDS, "vault", replace(VAULT, sdk="vaultsdk.documents", extra="vault"))


def test_a_route_to_it_is_refused_naming_the_extra_to_install(acme, vault_without_sdk):
    with pytest.raises(BackendNotImplemented) as refusal:
        create_route(draft(), CAUSE)
    assert refusal.value.detail == "The SDK of backend_type=vault is not installed here."
    assert "make.py clouds" in refusal.value.fix
    assert "northstar[vault]" in refusal.value.fix


def test_a_route_saved_elsewhere_is_refused_when_it_is_opened(vault_without_sdk):
    with pytest.raises(BackendNotImplemented, match="SDK of backend_type=vault"):
        driver_class("tabular_store", "Vault")


def test_kinds_are_listed_with_the_schema_of_a_backend_that_is_not_available(acme_api, vault_without_sdk):
    [table] = [
        kind for kind in acme_api.get("routing/kinds").json()["items"] if kind["resource_kind"] == "tabular_store"
    ]
    vault = next(backend for backend in table["backends"] if backend["backend_type"] == "vault")
    assert vault["available"] is False
    assert "place" in vault["config_schema"]["properties"]
    assert vault["limits"]["key_bytes"] == 900


def test_a_backend_without_an_sdk_is_always_installed():
    assert BACKENDS["filesystem"].installed


@pytest.mark.parametrize(("module", "here"), [("json", True), ("json.missing", False), ("missing.above.it", False)])
def test_an_sdk_is_known_without_importing_it(module, here):
    assert is_installed(module) is here


def test_every_cloud_backend_with_a_driver_names_its_sdk_and_extra():
    cloud = [backend for name, backend in BACKENDS.items() if name in {"cosmos", "dynamodb", "firestore"}]
    assert all(backend.sdk and backend.extra in {"aws", "azure", "gcp"} for backend in cloud)
