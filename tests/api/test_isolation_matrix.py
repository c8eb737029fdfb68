"""Every operation of the OpenAPI schema, asked by everybody who must not use it: none answers with data or changes anything."""

from typing import Any

import pytest

from tests.api.isolation_cast import Operation, memory, neighbours, operations, operator, strangers, told
from tests.api.isolation_fillings import BODIES
from tests.api.isolation_world import CANARY, World, build_world, prepare
from tests.conftest import Api

OPERATIONS = operations()


@pytest.fixture
def world(acme, globex, system) -> World:
    return build_world(acme, globex, system)


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.name for operation in OPERATIONS])
def test_an_operation_serves_its_owner_and_shows_or_changes_nothing_for_anybody_else(operation, world, lab):
    prepare(world, operation.name, operation.path)
    refused, others, everything = strangers(world, operation), neighbours(world, operation), operator(world)
    before = memory(lab)
    for who, (api, how) in refused.items():
        check_refused(operation.ask(api, world, **how), who)
        assert memory(lab) == before, who
    acmes = memory(lab, of_acmes_dev=True)
    for who, (api, how) in others.items():
        check_harmless(operation.ask(api, world, **how), who)
        assert memory(lab, of_acmes_dev=True) == acmes, who
    before = memory(lab)
    answer = operation.ask(Api(world.owner), world)
    if answer.status_code == 403:
        answer = operation.ask(everything, world)
    assert answer.status_code < 400, f"teach isolation_cast how to ask {operation.name}: {told(answer)!r}"
    assert (memory(lab) == before) is operation.reads


def check_refused(answer: Any, who: str) -> None:
    """The key does not open the operation at all."""
    assert answer.status_code in {401, 403}, f"{who}: {answer.status_code}"
    assert answer["Content-Type"] == "application/problem+json"
    assert CANARY.encode() not in told(answer), who


def check_harmless(answer: Any, who: str) -> None:
    """A good key asks for itself with acme's ids: it may be served, from its own data."""
    assert CANARY.encode() not in told(answer), who
    assert answer.status_code < 500 or answer.json()["error_code"] == "NO_ROUTE_CONFIGURED", who


def test_the_matrix_is_as_large_as_the_schema():
    named = {operation.name for operation in OPERATIONS}
    assert len(named) == len(OPERATIONS) >= 40
    assert set(BODIES) <= named
    keyless = [operation.name for operation in OPERATIONS if not operation.keyed]
    assert sorted(keyless) == ["presigned_get", "presigned_post", "presigned_put"]
    assert [one.name for one in OPERATIONS if one.keyed and not one.scope] == ["context"]  # it takes any key


def test_an_operation_that_cannot_be_filled_in_fails(world):
    described = {"operationId": "new", "parameters": [{"in": "path", "name": "unheard_of", "required": True}]}
    with pytest.raises(AssertionError, match="unheard_of"):
        Operation("GET", "/api/v1/{unheard_of}", described, {}).ask(Api(world.owner), world)
