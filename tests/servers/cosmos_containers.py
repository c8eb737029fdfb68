"""Databases and containers: what may be said of one when it is created, and what is answered when it is read."""

from dataclasses import dataclass, field
from typing import Any

from tests.servers.cosmos_errors import CosmosError, bad_request, not_found, owner_not_found
from tests.servers.cosmos_indexing import completed_policy
from tests.servers.cosmos_items import Clock, Items, check_id, check_ttl, encoded_rid
from tests.servers.cosmos_partitions import PartitionKey

MAX_NAME = 255
"""Characters in the name of a database or container ("Service quotas", per-container limits)."""
NO_UNIQUE_KEYS: dict[str, list[object]] = {"uniqueKeys": []}
LAST_WRITER_WINS = {"mode": "LastWriterWins", "conflictResolutionPath": "/_ts", "conflictResolutionProcedure": ""}
KNOWN = {"id", "partitionKey", "defaultTtl", "indexingPolicy", "uniqueKeyPolicy", "conflictResolutionPolicy"}
SYSTEM = {"_rid", "_self", "_etag", "_ts", "_docs", "_sprocs", "_triggers", "_udfs", "_conflicts"}

Json = dict[str, Any]


@dataclass
class Container:
    """A container: its properties as they are answered, and its items."""

    rid: str
    properties: Json
    items: Items


@dataclass
class Database:
    """A database: its properties as they are answered, and its containers by name."""

    rid: bytes
    properties: Json
    containers: dict[str, Container] = field(default_factory=dict)
    created: int = 0

    def container(self, name: str, *, owner: bool = False) -> Container:
        """Return a container. `owner` says that something in it is asked for, which changes the 404 when there is none."""
        if name not in self.containers:
            raise (owner_not_found if owner else not_found)(f"no container {name!r}")
        return self.containers[name]

    def create_container(self, body: Any, clock: Clock) -> Container:
        """Create a container, or raise a 409 when there is one of that name."""
        name, key, settings = _name(body), PartitionKey.parsed(body.get("partitionKey")), _settings(body)
        if name in self.containers:
            raise already_exists()
        self.created += 1
        raw = self.rid + (0x80000000 | self.created).to_bytes(4, "big")
        rid = encoded_rid(raw)
        link = f"{self.properties['_self']}colls/{rid}/"
        properties = {
            "id": name,
            "partitionKey": key.as_json(),
            "uniqueKeyPolicy": NO_UNIQUE_KEYS,
            "conflictResolutionPolicy": LAST_WRITER_WINS,
            **settings,
            **_system(rid, link, clock, self.created),
            **{f"_{kind}": f"{kind}/" for kind in ("docs", "sprocs", "triggers", "udfs", "conflicts")},
        }
        self.containers[name] = Container(rid, properties, Items(raw, link, key, clock))
        self.containers[name].items.default_ttl = settings.get("defaultTtl")
        return self.containers[name]

    def replace_container(self, name: str, body: Any, clock: Clock) -> Container:
        """Change indexing and time to live of a container. Its id and its partition key stay as they are."""
        container = self.container(name)
        settings, key = _settings(body), PartitionKey.parsed(body.get("partitionKey"))
        if _name(body) != name or key != container.items.key:
            raise bad_request("the id and the partition key of a container cannot be changed")
        self.created += 1
        kept = {name: value for name, value in container.properties.items() if name != "defaultTtl"}
        system = _system(container.rid, container.properties["_self"], clock, self.created)
        container.properties = {**kept, **settings, **system}
        container.items.default_ttl = settings.get("defaultTtl")
        return container


def new_database(body: Any, number: int, clock: Clock) -> Database:
    """Make the `number`th database of an account out of `{"id": name}`."""
    raw = number.to_bytes(4, "big")
    rid, name = encoded_rid(raw), _name(body)
    if body.keys() != {"id"}:
        raise bad_request("this server knows only the id of a database")
    system = _system(rid, f"dbs/{rid}/", clock, number)
    return Database(raw, {"id": name, **system, "_colls": "colls/", "_users": "users/"})


def already_exists() -> CosmosError:
    return CosmosError(409, "Resource with specified id or name already exists.")


def _system(rid: str, link: str, clock: Clock, number: int) -> Json:
    now = int(clock.now())
    return {"_rid": rid, "_self": link, "_etag": f'"{number:08x}-0000-0200-0000-{now:08x}0000"', "_ts": now}


def _name(body: Any) -> str:
    if not isinstance(body, dict):
        raise bad_request("a database or container is a JSON object")
    name = check_id(body.get("id"))
    if len(name) > MAX_NAME:
        raise bad_request(f"a name has at most {MAX_NAME} characters")
    return name


def _settings(body: Json) -> Json:
    unknown = body.keys() - KNOWN - SYSTEM
    if unknown:
        raise bad_request(f"this server knows no {', '.join(sorted(unknown))} of a container")
    if body.get("uniqueKeyPolicy", NO_UNIQUE_KEYS) != NO_UNIQUE_KEYS:
        raise bad_request("this server knows no unique keys")
    if body.get("conflictResolutionPolicy", LAST_WRITER_WINS) != LAST_WRITER_WINS:
        raise bad_request("this server knows no conflict resolution but that the last writer wins by _ts")
    ttl = body.get("defaultTtl")
    if ttl is not None:
        check_ttl(ttl)
    policy = completed_policy(body.get("indexingPolicy"))
    return {"indexingPolicy": policy} if ttl is None else {"indexingPolicy": policy, "defaultTtl": ttl}
