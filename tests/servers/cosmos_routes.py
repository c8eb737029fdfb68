"""Leads a request to what it asks for: account, databases, containers, items, and refuses everything else with a 400."""

from typing import Any

from tests.servers.cosmos_account import CONSISTENCY_LEVELS, Account
from tests.servers.cosmos_containers import Container
from tests.servers.cosmos_errors import CosmosError, bad_request
from tests.servers.cosmos_faults import due
from tests.servers.cosmos_item_routes import item_operation, run_item_operation
from tests.servers.cosmos_requests import Request, Response

COLLECTION_RID_MISMATCH = 1024
PARTITION_RANGES = [{"id": "0", "minInclusive": "", "maxExclusive": "FF", "_rid": "", "_self": "", "parents": []}]
RANGES_ETAG = '"1"'


def serve(operation: str, account: Account, request: Request, endpoint: str) -> Response:
    """Answer a signed request of a kind. Raises CosmosError for all that is no success."""
    with account.lock:
        account.counters[operation] += 1
        fault = due(account.faults, operation)
        if fault is not None and not fault.applied:
            raise fault.error()
        request.check()
        _check_consistency(account, request)
        response = _run(operation, account, request, endpoint)
        if fault is not None:
            raise fault.error()
        return response


def operation_of(request: Request) -> str:
    """Name the kind of a request, as counters and faults do: `account.read`, `container.create`, `upsert`, `query` …

    Raises a 400 for a request that this server does not know.
    """
    operation = _operation_of(request)
    if operation is None:
        raise bad_request(f"this server does not know {request.method} /{'/'.join(request.segments)}")
    return operation


def _operation_of(request: Request) -> str | None:
    match request.segments:
        case ():
            return "account.read" if request.method == "GET" else None
        case ("dbs",) | ("dbs", _):
            return _named("database", request, 1)
        case ("dbs", _, "colls") | ("dbs", _, "colls", _):
            return _named("container", request, 3)
        case ("dbs", _, "colls", _, "pkranges"):
            return "pkranges.read" if request.method == "GET" else None
        case ("dbs", _, "colls", _, "docs") | ("dbs", _, "colls", _, "docs", _):
            return item_operation(request)
    return None


def _named(kind: str, request: Request, feed: int) -> str | None:
    verbs = {"GET": "list", "POST": "create"} if len(request.segments) == feed else {"GET": "read", "DELETE": "delete"}
    if kind == "container" and len(request.segments) > feed:
        verbs["PUT"] = "replace"
    if request.headers.get("content-type", "").startswith("application/query+json"):
        return None
    verb = verbs.get(request.method)
    return verb and f"{kind}.{verb}"


def _check_consistency(account: Account, request: Request) -> None:
    asked = request.headers.get("x-ms-consistency-level", account.consistency)
    if asked not in CONSISTENCY_LEVELS:
        raise bad_request(f"{asked} is no consistency level")
    if CONSISTENCY_LEVELS.index(asked) > CONSISTENCY_LEVELS.index(account.consistency):
        raise bad_request(f"the account is {account.consistency}; a request cannot ask for {asked}")


def _run(operation: str, account: Account, request: Request, endpoint: str) -> Response:
    if operation == "account.read":
        return Response(200, _described(account, endpoint), charge=0)
    if operation.startswith("database."):
        return _database(operation, account, request)
    database = account.database(request.segments[1], owner=True)
    if operation in {"container.list", "container.create"}:
        return _containers(operation, account, request)
    container = database.container(request.segments[3], owner=not operation.startswith("container."))
    if operation.startswith("container."):
        return _container(operation, account, request)
    _check_rid(container, request)
    if operation == "pkranges.read":
        return _ranges(container, request)
    return run_item_operation(operation, container, request)


def _described(account: Account, endpoint: str) -> dict[str, Any]:
    location = [{"name": "Local", "databaseAccountEndpoint": endpoint}]
    return {
        "_self": "",
        "id": "local",
        "_rid": "local",
        "writableLocations": location,
        "readableLocations": location,
        "enableMultipleWriteLocations": False,
        "userConsistencyPolicy": {"defaultConsistencyLevel": account.consistency},
        "queryEngineConfiguration": "{}",
    }


def _database(operation: str, account: Account, request: Request) -> Response:
    if operation == "database.list":
        listed = [database.properties for database in account.databases.values()]
        return Response(200, {"_rid": "", "Databases": listed, "_count": len(listed)})
    if operation == "database.create":
        return _created(account.create_database(request.json()).properties)
    database = account.database(request.segments[1])
    if operation == "database.delete":
        del account.databases[request.segments[1]]
        return Response(204)
    return _read(database.properties)


def _containers(operation: str, account: Account, request: Request) -> Response:
    database = account.database(request.segments[1])
    if operation == "container.create":
        return _created(database.create_container(request.json(), account.clock).properties)
    listed = [container.properties for container in database.containers.values()]
    return Response(200, {"_rid": database.properties["_rid"], "DocumentCollections": listed, "_count": len(listed)})


def _container(operation: str, account: Account, request: Request) -> Response:
    database, name = account.database(request.segments[1]), request.segments[3]
    if operation == "container.delete":
        del database.containers[name]
        return Response(204)
    if operation == "container.replace":
        return _read(database.replace_container(name, request.json(), account.clock).properties)
    return _read(database.container(name).properties)


def _created(properties: dict[str, Any]) -> Response:
    return Response(201, properties, {"etag": properties["_etag"]}, charge=5)


def _read(properties: dict[str, Any]) -> Response:
    return Response(200, properties, {"etag": properties["_etag"]})


def _check_rid(container: Container, request: Request) -> None:
    """A client that remembers a container which was deleted and made anew is told so, and reads it again."""
    if request.headers.get("x-ms-cosmos-intended-collection-rid", container.rid) != container.rid:
        raise bad_request("the container was created anew", substatus=COLLECTION_RID_MISMATCH)


def _ranges(container: Container, request: Request) -> Response:
    """One physical partition holds everything, so there is one range, which never changes."""
    if request.headers.get("if-none-match") == RANGES_ETAG:
        raise CosmosError(304, "Not Modified", headers={"etag": RANGES_ETAG})
    content = {"_rid": container.rid, "PartitionKeyRanges": PARTITION_RANGES, "_count": 1}
    return Response(200, content, {"etag": RANGES_ETAG})
