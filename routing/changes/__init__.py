"""The only way to change the control plane: one function per change, one transaction each.

Each transaction writes the row, its audit entry, the events it owes and the snapshot revision, or nothing.
"""

from routing.admission import RouteDraft
from routing.audit import Cause
from routing.changes.aliases import delete_alias, set_alias
from routing.changes.locks import lock_env, lock_route, unlock, unlock_env, unlock_route
from routing.changes.rollback import roll_back
from routing.changes.routes import RouteUpdate, create_route, delete_route, put_route, reseal_routes, update_route
from routing.changes.switching import SwitchTarget, switch_backend
from routing.changes.tenants import create_tenant, update_tenant

__all__ = [
    "Cause",
    "RouteDraft",
    "RouteUpdate",
    "SwitchTarget",
    "create_route",
    "create_tenant",
    "delete_alias",
    "delete_route",
    "lock_env",
    "lock_route",
    "put_route",
    "reseal_routes",
    "roll_back",
    "set_alias",
    "switch_backend",
    "unlock",
    "unlock_env",
    "unlock_route",
    "update_route",
    "update_tenant",
]
