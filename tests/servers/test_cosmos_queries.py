"""Queries of the Cosmos DB test server: the documented rules for types, order, scope and pages, and loud refusals."""

from typing import Any

import pytest
from azure.cosmos import ContainerProxy, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.servers.cosmos_lab import DATABASE, ITEMS, Lab

MIXED = [None, False, True, -1, 2.5, 10, "", "B", "a", "\uffee", "😀"]
"""Values of each type that has an order, in that order; text goes by code point, not by UTF-16."""


def pages_of(container: ContainerProxy, text: str, token: str | None = None, *, pk: str = "acme") -> Any:
    """Pages of three; the SDK's types know no results but objects."""
    return container.query_items(text, partition_key=pk, max_item_count=3).by_page(token)


@pytest.fixture
def things(cosmos: Lab) -> Lab:
    """Ten items of acme, i0 to i9, and one of globex."""
    for n in range(10):
        item = {
            "id": f"i{n}",
            "pk": "acme",
            "n": n,
            "kind": "even" if n % 2 == 0 else "odd",
            "tags": [n % 3],
            "deep": {"x": str(n)},
        }
        cosmos.items.create_item(item if n else {"id": "i0", "pk": "acme", "kind": "even", "order": 1})
    cosmos.items.create_item({"id": "foreign", "pk": "globex", "n": 5})
    return cosmos


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("c.n = 5", "5"),
        ("c.n = @five", "5"),
        ("c.n != 5", "12346789"),
        ("c.n < 2 OR c.n >= 9", "19"),
        ("c.n > 7 AND c.kind = 'odd'", "9"),
        ("NOT c.n > 1", "1"),
        ("c.n > '1'", ""),
        ("NOT c.n > '1'", ""),
        ("c.n = '5'", ""),
        ("c.n != '5'", ""),
        ("c.n IN (1, '2', @five)", "15"),
        ("c.n NOT IN (1, 2, 3, 4)", "56789"),
        ("c.n BETWEEN 3 AND 4", "34"),
        ("c.n NOT BETWEEN 2 AND 8", "19"),
        ("c.n + 1 = 6", "5"),
        ("c.n - @five > 2", "89"),
        ("c.n * 2 = 6 AND (c.n = 3 OR c.n = 4)", "3"),
        ("IS_DEFINED(c.n) = false", "0"),
        ("NOT IS_DEFINED(c.n) OR c.n = 1", "01"),
        ("IS_NUMBER(c.n) AND IS_STRING(c.deep.x) AND c.n > 8", "9"),
        ("IS_NULL(c.missing)", ""),
        ("c.missing = null", ""),
        ("c.missing = undefined", ""),
        ("c.deep.x = \"7\" OR c['deep'][\"x\"] = '8'", "78"),
        ("c.tags[0] = 2", "258"),
        ('c["order"] = 1', "0"),
        ("ARRAY_CONTAINS(c.tags, 1)", "147"),
        ("ARRAY_CONTAINS(['i1', 'i2'], c.id)", "12"),
        ("STARTSWITH(c.kind, 'ev') AND c.n < 5", "24"),
        ("STARTSWITH(c.kind, 'EV', true) AND c.n = 4", "4"),
        ("CONTAINS(c.id, '3') OR ENDSWITH(c.id, '4')", "34"),
        ("c.id LIKE 'i_' AND c.kind LIKE '%dd' AND c.n < 4", "13"),
        ("c.deep = {five}", None),
        ("c.kind > 'even' AND c.n < 4", "13"),
        ("true", "0123456789"),
        ("c.kind", ""),
    ],
)
def test_a_filter_finds_what_is_documented(things: Lab, where: str, found: str | None):
    text = f"SELECT VALUE c.id FROM c WHERE {where}"
    if found is None:
        with pytest.raises(CosmosHttpResponseError):
            things.query(text, five=5)
    else:
        assert things.query(text, five=5) == [f"i{n}" for n in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT c.n, c.deep.x FROM c WHERE c.n = 1", [{"n": 1, "x": "1"}]),
        ("SELECT c.n AS number, c.id name FROM root AS c WHERE c.n = 1", [{"number": 1, "name": "i1"}]),
        ("SELECT c.n, c.missing, c.n + 1 FROM c WHERE c.n = 1", [{"n": 1, "$3": 2}]),
        ("SELECT VALUE c.missing FROM c", []),
        ("SELECT TOP 2 VALUE c.id FROM c", ["i0", "i1"]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n DESC OFFSET 1 LIMIT @two", [8, 7]),
        ("SELECT DISTINCT VALUE c.kind FROM c", ["even", "odd"]),
        ("SELECT VALUE COUNT(1) FROM c", [10]),
        ("SELECT VALUE COUNT(c.n) FROM c WHERE c.kind = 'even'", [4]),
        ("SELECT VALUE SUM(c.n) FROM c", [45]),
        ("SELECT VALUE AVG(c.n) FROM c", [5]),
        ("SELECT VALUE MIN(c.n) FROM c", [1]),
        ("SELECT VALUE MAX(c.id) FROM c", ["i9"]),
        ("SELECT VALUE SUM(c.kind) FROM c", []),
        ("SELECT VALUE MAX(c.n) FROM c WHERE false", []),
        ("SELECT VALUE COUNT(1) FROM c WHERE false", [0]),
        ("SELECT c.kind, COUNT(1) AS n FROM c GROUP BY c.kind", [{"kind": "even", "n": 5}, {"kind": "odd", "n": 5}]),
        ("SELECT VALUE [LOWER('AB'), UPPER('ab'), 'it\\'s', \"\\u00e9\"]", [["ab", "AB", "it's", "é"]]),
    ],
)
def test_a_select_clause_answers_what_is_documented(things: Lab, text: str, expected: list[Any]):
    assert things.query(text, two=2) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT t FROM c JOIN t IN c.tags",
        "SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags)",
        "SELECT * FROM c WHERE udf.f(c.n)",
        "SELECT * FROM c WHERE REGEXMATCH(c.id, 'i')",
        "SELECT * FROM c WHERE c.n = @missing",
        "SELECT * FROM c WHERE d.n = 1",
        "SELECT * FROM c WHERE c.order = 1",
        "SELECT * FROM c WHERE c.n == 1",
        "SELECT * FROM c WHERE c.n ?? 1 = 1",
        "SELECT * FROM c WHERE c.id LIKE 'i[0-4]'",
        "SELECT * FROM c ORDER BY c.n + 1",
        "SELECT * FROM c ORDER BY c.kind, c.n",
        "SELECT * FROM c ORDER BY c._etag",
        "SELECT * FROM c OFFSET 1",
        "SELECT * FROM c LIMIT 1",
        "SELECT TOP -1 * FROM c",
        "SELECT c.n, COUNT(1) FROM c",
        "SELECT c.n, COUNT(1) AS n FROM c GROUP BY c.kind",
        "SELECT c.n AS a, c.id AS a FROM c",
        "SELECT VALUE {'a': 1}",
        "DELETE FROM c",
        "",
        "SELECT * FROM c; SELECT * FROM c",
        "SELECT * FROM c WHERE c.id = 'open",
    ],
)
def test_a_query_that_it_does_not_know_is_refused(things: Lab, text: str):
    headers = {"content-type": "application/query+json", "x-ms-documentdb-partitionkey": '["acme"]'}
    status, _, answer = things.send("POST", ITEMS, {"query": text}, headers=headers)
    assert status == 400, answer


def test_a_query_stays_in_its_partition(things: Lab):
    assert things.query("SELECT VALUE c.id FROM c WHERE c.n = 5 OR c.pk = 'globex'") == ["i5"]
    assert things.query("SELECT VALUE c.id FROM c WHERE c.n = 5", pk=None) == ["i5", "foreign"]
    assert things.query("SELECT VALUE COUNT(1) FROM c", pk="nobody") == [0]


def test_a_query_across_partitions_must_say_so(things: Lab):
    status, _, answer = things.send(
        "POST", ITEMS, {"query": "SELECT * FROM c"}, headers={"content-type": "application/query+json"}
    )
    assert status == 400
    assert "Cross partition" in answer["message"]


def test_values_of_different_types_have_an_order(cosmos: Lab):
    for index, value in enumerate(reversed(MIXED)):
        cosmos.items.create_item({"id": str(index), "pk": "acme", "v": value})
    cosmos.items.create_item({"id": "without", "pk": "acme"})
    assert cosmos.query("SELECT VALUE c.v FROM c ORDER BY c.v") == MIXED
    assert cosmos.query("SELECT VALUE c.v FROM c ORDER BY c.v DESC") == MIXED[::-1]


def test_an_item_without_the_property_is_in_the_order_only_where_its_path_is_included_by_name(cosmos: Lab):
    policy = {"includedPaths": [{"path": "/*"}, {"path": "/v/?"}]}
    named = cosmos.client.get_database_client(DATABASE).create_container(
        "named", PartitionKey("/pk"), indexing_policy=policy
    )
    for container in (named, cosmos.items):
        container.create_item({"id": "with", "pk": "acme", "v": None})
        container.create_item({"id": "without", "pk": "acme"})
    text = "SELECT VALUE c.id FROM c ORDER BY c.v"
    assert list(next(pages_of(named, text))) == ["without", "with"]
    assert cosmos.query(text) == ["with"]


@pytest.mark.parametrize(
    ("order", "served"),
    [
        ("c.kind, c.n DESC", True),
        ("c.kind DESC, c.n ASC", True),
        ("c.kind, c.n", False),
        ("c.n DESC, c.kind", False),
        ("c.kind, c.n DESC, c.id", False),
    ],
)
def test_an_order_by_two_paths_needs_its_composite_index(things: Lab, order: str, served: bool):
    text = f"SELECT VALUE c.n FROM c WHERE c.n < 5 ORDER BY {order}"
    if served:
        assert things.query(text) == ([4, 2, 3, 1] if "DESC, c.n" not in order else [1, 3, 2, 4])
    else:
        with pytest.raises(CosmosHttpResponseError, match="composite index"):
            things.query(text)


def test_an_order_needs_an_index_and_id_always_has_one(cosmos: Lab):
    policy = {
        "includedPaths": [{"path": "/in/*"}, {"path": '/"q-q"/?'}],
        "excludedPaths": [{"path": "/*"}, {"path": "/in/out/?"}],
    }
    container = cosmos.client.get_database_client(DATABASE).create_container(
        "few", PartitionKey("/pk"), indexing_policy=policy
    )
    for path in ("c.id", "c._ts", "c.in.a", "c['in'].a.b", 'c["q-q"]'):
        indexed = path.replace("c.in", "c['in']")
        assert list(container.query_items(f"SELECT * FROM c ORDER BY {indexed}", partition_key="acme")) == []
    for path in ("c.other", "c['in'].out", "c.pk"):
        with pytest.raises(CosmosHttpResponseError, match="is excluded"):
            list(container.query_items(f"SELECT * FROM c ORDER BY {path}", partition_key="acme"))


@pytest.mark.parametrize(
    "order", ["", " ORDER BY c.n DESC", " ORDER BY c.kind, c.n DESC", " ORDER BY c.n OFFSET 1 LIMIT 5"]
)
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_pages_are_the_whole_without_gap_or_repetition(things: Lab, order: str, size: int):
    text = f"SELECT VALUE c.id FROM c{order}"
    whole = things.query(text)
    assert things.query(text, size=size) == whole
    assert len(whole) == (5 if "LIMIT" in order else 9 if order else 10)


def test_a_page_goes_on_after_the_last_item_even_when_that_is_gone(things: Lab):
    pages = pages_of(things.items, "SELECT VALUE c.id FROM c ORDER BY c.n")
    assert list(next(pages)) == ["i1", "i2", "i3"]
    for gone in ("i1", "i3", "i4"):
        things.items.delete_item(gone, "acme")
    things.items.create_item({"id": "late", "pk": "acme", "n": 1.5})
    assert list(next(pages)) == ["i5", "i6", "i7"]


def test_a_continuation_belongs_to_its_query_and_partition(things: Lab):
    text = "SELECT VALUE c.id FROM c ORDER BY c.n"
    pages = pages_of(things.items, text)
    next(pages)
    token = pages.continuation_token
    resumed = pages_of(things.items, text, token)
    assert list(next(resumed)) == ["i4", "i5", "i6"]
    for other, pk, foreign in ((text + " DESC", "acme", token), (text, "globex", token), (text, "acme", "damaged")):
        with pytest.raises(CosmosHttpResponseError, match="continuation"):
            next(pages_of(things.items, other, foreign, pk=pk))


def test_a_page_has_a_hundred_results_or_four_megabytes(cosmos: Lab):
    for n in range(101):
        cosmos.items.create_item({"id": f"{n:03}", "pk": "small"})
    for n in range(5):
        cosmos.items.create_item({"id": str(n), "pk": "big", "text": "x" * 1_000_000})
    for pk, sizes in (("small", [100, 1]), ("big", [4, 1])):
        pages = cosmos.items.query_items("SELECT VALUE c.id FROM c", partition_key=pk).by_page()
        assert [len(list(page)) for page in pages] == sizes


def test_many_items_are_read_by_one_query(things: Lab):
    things.items.read_items([("i1", "acme"), ("i2", "acme")])  # the SDK learns of the container's partitions once
    things.control("DELETE", "counters")
    read = things.items.read_items([("i1", "acme"), ("i2", "acme"), ("missing", "acme")])
    assert [item["id"] for item in read] == ["i1", "i2"]
    assert things.control("GET", "counters") == {"query": 1}
    across = things.items.read_items([("i1", "acme"), ("foreign", "globex"), ("i2", "globex")])
    assert [item["id"] for item in across] == ["i1", "foreign"]
