"""A table of a route: made when it is missing, refused when it is another's."""

import time
from contextlib import suppress
from typing import Any, Final

from storage.backends.dynamodb_client import Connection
from storage.backends.dynamodb_config import PROVISIONED, DynamoDBConfig
from storage.backends.dynamodb_errors import RequestInvalid, TableExists, TableMissing
from storage.backends.dynamodb_items import REAP_ATTRIBUTE
from storage.errors import BackendRejected, BackendUnavailable

CREATION_SECONDS: Final = 120.0
"""AWS takes ten seconds as a rule; then the command says that it goes on."""
_POLL_SECONDS: Final = 0.5

_KEYS: Final = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
_TYPES: Final = [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]
_TTL_ON: Final = frozenset({"ENABLED", "ENABLING"})


def prepare_table(connection: Connection, config: DynamoDBConfig, name: str) -> None:
    """Create the table where it is missing, wait until it is active, and turn on what it needs; may run again, or twice at once.

    Raises BackendRejected for a table with other keys or another TTL attribute, BackendUnavailable while it is being made.
    """
    table = _described(connection, name)
    if table is None:
        _create(connection, config, name)
    table = _active(connection, name, table)
    if (table["KeySchema"], sorted(table["AttributeDefinitions"], key=lambda one: one["AttributeName"])) != (
        _KEYS,
        _TYPES,
    ):
        raise BackendRejected(
            f"The table {name} exists with other keys.",
            fix="Give the route a table_name of its own: a table with the keys pk and sk (strings) is made for it.",
        )
    _reap(connection, name)
    if config.point_in_time_recovery:
        _keep_history(connection, name)


def _described(connection: Connection, table_name: str) -> dict[str, Any] | None:
    """Return the table's description, or None where there is no table."""
    try:
        table: dict[str, Any] = connection.send("describe_table", TableName=table_name)["Table"]
    except TableMissing:
        return None
    return table


def _create(connection: Connection, config: DynamoDBConfig, name: str) -> None:
    """Begin to create the table; somebody else's creation at the same moment is as good."""
    wanted: dict[str, Any] = {"BillingMode": config.billing_mode}
    if config.billing_mode == PROVISIONED:
        units = {"ReadCapacityUnits": config.read_units, "WriteCapacityUnits": config.write_units}
        wanted["ProvisionedThroughput"] = units
    with suppress(TableExists):
        connection.send("create_table", TableName=name, KeySchema=_KEYS, AttributeDefinitions=_TYPES, **wanted)


def _active(connection: Connection, table_name: str, table: dict[str, Any] | None) -> dict[str, Any]:
    """Wait until the table can be used and return its description. None: one just created may not be found at once."""
    deadline = time.monotonic() + CREATION_SECONDS
    table = table or _described(connection, table_name)
    while table is None or table["TableStatus"] == "CREATING":
        if time.monotonic() > deadline:
            raise BackendUnavailable(
                f"The table {table_name} is still being created.", fix="Run the command again later."
            )
        time.sleep(_POLL_SECONDS)
        table = _described(connection, table_name)
    return table


def _reap(connection: Connection, table_name: str) -> None:
    """Let DynamoDB remove what has expired long enough."""
    found = connection.send("describe_time_to_live", TableName=table_name)["TimeToLiveDescription"]
    if found["TimeToLiveStatus"] in _TTL_ON:
        if found["AttributeName"] != REAP_ATTRIBUTE:
            raise BackendRejected(
                f"The table {table_name} expires items by the attribute {found['AttributeName']}, not by {REAP_ATTRIBUTE}.",
                fix="Give the route a table_name of its own, or turn time to live off for this table.",
            )
        return
    wanted = {"Enabled": True, "AttributeName": REAP_ATTRIBUTE}
    try:
        connection.send("update_time_to_live", TableName=table_name, TimeToLiveSpecification=wanted)
    except RequestInvalid:  # somebody else has turned it on since
        found = connection.send("describe_time_to_live", TableName=table_name)["TimeToLiveDescription"]
        if found.get("AttributeName") != REAP_ATTRIBUTE:
            raise


def _keep_history(connection: Connection, table_name: str) -> None:
    """Turn point-in-time recovery on."""
    found = connection.send("describe_continuous_backups", TableName=table_name)["ContinuousBackupsDescription"]
    if found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
        wanted = {"PointInTimeRecoveryEnabled": True}
        connection.send("update_continuous_backups", TableName=table_name, PointInTimeRecoverySpecification=wanted)
