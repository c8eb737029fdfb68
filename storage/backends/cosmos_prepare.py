"""The database and the container of a route: created where they are missing, and checked for what documents need."""

from typing import TYPE_CHECKING, Any, Final

from storage.backends.cosmos_config import CosmosConfig
from storage.errors import BackendRejected

if TYPE_CHECKING:
    from azure.cosmos import ContainerProxy, CosmosClient, DatabaseProxy, ThroughputProperties

PARTITION_KEY: Final = "/pk"
INDEXING: Final[dict[str, Any]] = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/pk/?"}, {"path": "/sort/?"}],
    "excludedPaths": [{"path": "/*"}],
}
"""Scans go by these two; every other path would only make writes dearer."""
TTL_PER_ITEM: Final = -1
"""Items are reaped when their own `ttl` says so, and only then."""


def prepare(client: "CosmosClient", config: CosmosConfig) -> None:
    """Create what is missing. Raises BackendRejected for a container that cannot hold documents, and as the SDK does."""
    database = client.create_database_if_not_exists(config.database)
    check_container(_container(database, config))


def check_container(container: "ContainerProxy") -> None:
    """Refuse a container that was made for something else. Raises BackendRejected, and as the SDK does."""
    found = container.read()
    if found["partitionKey"]["paths"] != [PARTITION_KEY] or found["partitionKey"].get("version") != 2:
        raise BackendRejected(
            f"The container {found['id']} has another partition key than {PARTITION_KEY}, with large values.",
            fix="Name another container in the route's config, and run `python manage.py routes prepare`.",
        )
    if "defaultTtl" not in found:
        raise BackendRejected(
            f"The container {found['id']} never reaps expired items.",
            fix="Set its time to live to on, without a default.",
        )


def _container(database: "DatabaseProxy", config: CosmosConfig) -> "ContainerProxy":
    from azure.cosmos import PartitionKey  # noqa: PLC0415 - the SDK is imported at first use

    return database.create_container_if_not_exists(
        config.container,
        PartitionKey(PARTITION_KEY, version=2),
        indexing_policy=INDEXING,
        default_ttl=TTL_PER_ITEM,
        offer_throughput=_throughput(config),
    )


def _throughput(config: CosmosConfig) -> "int | ThroughputProperties | None":
    from azure.cosmos import ThroughputProperties  # noqa: PLC0415 - the SDK is imported at first use

    if config.billing != "autoscale":
        return config.throughput
    return ThroughputProperties(auto_scale_max_throughput=config.throughput)
