"""Which table a collection lies in: the route's one table, or a table of its own.

The collection begins every partition's name all the same, so a table that somebody names twice never mixes two collections.
"""

from collections.abc import Sequence

from storage.backends.dynamodb_config import DynamoDBConfig


class Tables:
    """The tables of one route."""

    def __init__(self, config: DynamoDBConfig, collections: Sequence[str]) -> None:
        """`collections` are those that the route's kind keeps, where these are several."""
        suffix = config.table_suffix
        apart = collections if config.table_per_collection else ()
        self._apart = {collection: f"{collection}{suffix}" for collection in apart}
        self._rest = next(iter(self._apart.values()), config.table_name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every table that the route needs."""
        return tuple(dict.fromkeys([*self._apart.values(), self._rest]))

    @property
    def first(self) -> str:
        """The table that stands for all when somebody asks whether the service answers."""
        return self._rest

    def of(self, collection: str) -> str:
        """Return the collection's table. What is no collection of the kind, such as a probe, lies in the first."""
        return self._apart.get(collection, self._rest)
