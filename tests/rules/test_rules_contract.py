"""The promises of the rules store, held by the reference in memory and by the real one on every document backend."""

from collections.abc import Iterator

import pytest

from rules.protocols import Rules
from tests.api.test_every_backend import CONFIGS
from tests.rules.memory_rules import MemoryRules
from tests.rules.places import Place, place_on
from tests.rules.rules_contract import RulesContract


@pytest.fixture(params=CONFIGS)
def place(request) -> Iterator[Place]:
    """A place on a backend; on DynamoDB each collection has a table of its own."""
    config = CONFIGS[request.param](request)
    if request.param == "dynamodb":
        config |= {"table_per_collection": True, "table_suffix": "-test"}
    with place_on(request.param, config) as made:
        yield made


class TestInMemory(RulesContract):
    @pytest.fixture
    def rules(self) -> Rules:
        return MemoryRules()

    @pytest.fixture
    def others(self) -> Rules:
        return MemoryRules()


class TestOnEveryBackend(RulesContract):
    @pytest.fixture
    def rules(self, place: Place) -> Rules:
        return place.open(on=place.drivers[0])

    @pytest.fixture
    def others(self, place: Place) -> Rules:
        return place.open("globex", on=place.drivers[0])


def test_on_dynamodb_there_are_eight_tables_of_the_names_that_people_look_for(request):
    config = CONFIGS["dynamodb"](request) | {"table_per_collection": True, "table_suffix": "-test"}
    with place_on("dynamodb", config) as place:
        client = place.drivers[0].native()
        names = (
            "agent-config",
            "audit-log",
            "batch-state",
            "calculation-rules",
            "irs-limits",
            "processing-pipeline",
            "processing-results",
            "validation-rules",
        )
        assert sorted(client.list_tables()["TableNames"]) == [f"bluestar-{name}-test" for name in names]
