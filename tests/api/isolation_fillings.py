"""What the isolation matrix sends for each name of the schema, and what operations need besides."""

from collections.abc import Callable
from typing import Any

from tests.api.isolation_world import World

FILLINGS: dict[str, Callable[[World, str], Any]] = {
    "agent": lambda _world, _operation: "a1",
    "amount": lambda _world, _operation: "1",
    "backend_type": lambda _world, _operation: "filesystem",
    "batch_id": lambda _world, _operation: "b1",
    "by": lambda _world, _operation: "app",
    "config": lambda _world, _operation: {"n": 1},
    "content": lambda _world, _operation: "changed",
    "data": lambda _world, _operation: {"n": 1},
    "deltas": lambda _world, _operation: {"n": 1},
    "entry": lambda _world, _operation: {"n": 1},
    "field": lambda _world, _operation: "f1",
    "from_env": lambda _world, _operation: "dev",
    "key": lambda _world, _operation: "k1",
    "conversions": lambda _world, _operation: [{"at": "2026-11-20T12:00:00Z", "value": 1}],
    "lock_id": lambda world, _operation: world.ids["lock"],
    "media_id": lambda world, operation: world.media["upload" if operation == "complete_media" else "stored"],
    "model": lambda _world, _operation: {"name": "linear"},
    "platform": lambda _world, _operation: "google_ads",
    "metric": lambda _world, _operation: "tokens",
    "provider": lambda _world, _operation: "openai",
    "name": lambda _world, _operation: "m1",
    "plan_id": lambda _world, _operation: "p1",
    "reason": lambda _world, _operation: "audit",
    "reservation_id": lambda world, operation: world.reservations[operation],
    "resource_kind": lambda _world, _operation: "tabular_store",
    "result": lambda _world, _operation: {"n": 1},
    "revision": lambda _world, _operation: 1,
    "role": lambda _world, _operation: "user",
    "row_id": lambda world, _operation: world.row_id,
    "route_id": lambda world, operation: world.ids["locked" if operation == "routes_unlock" else "route"],
    "run_id": lambda _world, _operation: "run-1",
    "session_id": lambda _world, _operation: "s1",
    "rule_id": lambda _world, _operation: "r1",
    "state": lambda _world, _operation: {"n": 1},
    "step": lambda _world, _operation: 1,
    "stream_id": lambda _world, _operation: "s1",
    "table": lambda _world, _operation: "t1",
    "token": lambda world, operation: world.tokens[operation],
    "touches": lambda _world, _operation: [{"at": "2026-11-20T11:00:00Z"}],
    "value": lambda _world, _operation: 1,
    "type": lambda _world, _operation: "changed",
    "user_id": lambda _world, _operation: "ada",
    "year": lambda _world, _operation: 2025,
    "X-Key": lambda _world, _operation: "k1",
}
"""What to send for a name, wherever it stands: path, query, header, body."""

BODIES: dict[str, dict[str, Any]] = {
    "attribution": {"touches": [{"at": "2026-11-20T11:00:00Z"}]},
    "contracts_diff": {"version": "1.0.0", "start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"},
    "contracts_put": {"mode": "warn", "rules": {"fields": [{"field": "utm_source"}]}},
    "contracts_validate": {"utm": {"source": "google"}},
    "earlier_put_route": {"tier": "gold"},
    "ingest_records": {"payload": {"n": 1}},
    "promote_rules": {"reason": "audit", "revision": 1},
    "publish_rules": {"reason": "audit", "changes": [{"kind": "calculation", "rule_id": "r1"}]},
    "roll_back_rules": {"reason": "audit"},
    "routes_change": {"tier": "gold"},
    "routes_put": {"tier": "gold"},
    "routes_switch": {"config": {"base_dir": "elsewhere"}},
    "set_budget": {"hard_limit": "50"},
    "write_records": {"items": [{"key": "k1", "data": {"n": 2}}]},
}
"""What an operation's body must hold besides what its schema requires, so that the owner's request changes something."""


QUERIES: dict[str, dict[str, str]] = {"locks_release": {"env": "qa"}, "store_media": {"session_id": "s1"}}
"""What an operation's query must hold besides what its schema requires."""

NEEDED: dict[str, str] = dict.fromkeys(("presign_object", "earlier_nexus_presign"), "data:write")
"""The scope that the filled-in body needs, where that depends on the body."""

KEEPS_REFUSED = frozenset({"ingest_records"})
"""Operations that keep what they refuse, among the caller's own (tests/analytics/test_record_gates.py)."""

CHANGE_NOTHING = frozenset({*NEEDED, "attribution", "contracts_diff", "contracts_template", "contracts_validate"})
"""Operations that only hand out what allows a change, or only work something out."""
