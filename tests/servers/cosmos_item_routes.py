"""Requests for items: point operations, queries, feeds and batches, told apart by method and headers as the service does."""

from typing import Any

from tests.servers.cosmos_batch import run_batch
from tests.servers.cosmos_containers import Container
from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_items import Item, check_id
from tests.servers.cosmos_query import Page, run_query
from tests.servers.cosmos_query import Request as Question
from tests.servers.cosmos_requests import PARTITION_KEY, Request, Response

READ_CHARGE, WRITE_CHARGE, QUERY_CHARGE = 1.0, 5.71, 2.3
"""Request units of reading and writing 1 KB, and of a query ("Request units"); the rest grows with the size."""
BYTES_OF_A_UNIT = 1024
EVERYTHING: dict[str, Any] = {}


def item_operation(request: Request) -> str | None:
    """Name the kind of a request for items, or return None for one that is not known."""
    if len(request.segments) == 6:
        return {"GET": "read", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}.get(request.method)
    if request.method == "GET":
        return "list"
    if request.method != "POST":
        return None
    if request.headers.get("content-type", "").startswith("application/query+json"):
        return "query"
    if request.says("x-ms-cosmos-is-batch-request"):
        return "batch"
    return "upsert" if request.says("x-ms-documentdb-is-upsert") else "create"


def run_item_operation(operation: str, container: Container, request: Request) -> Response:
    """Answer a request for items. Raises CosmosError for all that is no success."""
    if operation in {"query", "list"}:
        response = _query(operation, container, request)
    elif operation == "batch":
        response = _batch(container, request)
    else:
        response = _point(operation, container, request)
    response.headers["x-ms-session-token"] = f"0:-1#{container.items.written}"
    response.headers["x-ms-documentdb-partitionkeyrangeid"] = "0"
    response.headers["x-ms-alt-content-path"] = "/".join(request.segments[:4])
    if operation not in {"query", "list", "read"} and request.headers.get("prefer") == "return=minimal":
        response.content = None
    return response


def _point(operation: str, container: Container, request: Request) -> Response:
    items, headers = container.items, request.headers
    partition, if_match = items.key.from_header(headers.get(PARTITION_KEY)), headers.get("if-match")
    if operation != "read" and "if-none-match" in headers:
        raise bad_request("this server knows If-None-Match only for reads")
    key = check_id(request.segments[5]) if len(request.segments) == 6 else ""
    match operation:
        case "create":
            if if_match is not None:
                raise bad_request("this server knows no If-Match for a create")
            return _written(201, items.create(partition, request.json()))
        case "upsert":
            item, created = items.upsert(partition, request.json(), if_match=if_match)
            return _written(201 if created else 200, item)
        case "replace":
            return _written(200, items.replace(partition, key, request.json(), if_match=if_match))
        case "patch":
            return _written(200, items.patch(partition, key, request.json(), if_match=if_match))
        case "delete":
            items.delete(partition, key, if_match=if_match)
            return Response(204, charge=WRITE_CHARGE)
    return _read(items.read(partition, key, if_none_match=headers.get("if-none-match")))


def _written(status: int, item: Item) -> Response:
    return Response(status, item.fields, {"etag": item.etag}, charge=WRITE_CHARGE * _units(item.size))


def _read(item: Item) -> Response:
    return Response(200, item.fields, {"etag": item.etag}, charge=READ_CHARGE * _units(item.size))


def _units(size: int) -> int:
    return -(-size // BYTES_OF_A_UNIT)


def _batch(container: Container, request: Request) -> Response:
    if not request.says("x-ms-cosmos-batch-atomic") or request.says("x-ms-cosmos-batch-continue-on-error"):
        raise bad_request("this server knows only atomic batches")
    partition = container.items.key.from_header(request.headers.get(PARTITION_KEY))
    status, results = run_batch(container.items, partition, request.json())
    return Response(status, results, charge=WRITE_CHARGE * len(results))


def _query(operation: str, container: Container, request: Request) -> Response:
    text, parameters = ("SELECT * FROM c", EVERYTHING) if operation == "list" else _question(request.json())
    partition = None
    if PARTITION_KEY in request.headers:
        partition = container.items.key.from_header(request.headers[PARTITION_KEY])
    elif operation == "query" and not request.says("x-ms-documentdb-query-enablecrosspartition"):
        raise bad_request(
            "Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to true, "
            "specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception."
        )
    asked = Question(text, parameters, partition, request.page_size, request.headers.get("x-ms-continuation"))
    return _page(container, run_query(container.items, container.properties["indexingPolicy"], container.rid, asked))


def _page(container: Container, page: Page) -> Response:
    count = len(page.results)
    headers = {"x-ms-item-count": str(count)}
    if page.continuation is not None:
        headers["x-ms-continuation"] = page.continuation
    content = {"_rid": container.rid, "Documents": page.results, "_count": count}
    return Response(200, content, headers, charge=QUERY_CHARGE + 0.05 * count)


def _question(body: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(body, dict) or not isinstance(body.get("query"), str) or body.keys() - {"query", "parameters"}:
        raise bad_request("a query has the query's text and perhaps parameters, nothing else")
    parameters: dict[str, Any] = {}
    for given in body.get("parameters") or []:
        if not isinstance(given, dict) or given.keys() != {"name", "value"} or given["name"] in parameters:
            raise bad_request("each parameter has a name of its own and a value")
        parameters[given["name"]] = given["value"]
    return body["query"], parameters
