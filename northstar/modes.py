"""The modes a tenant can be in, and what follows from them for its backends."""

from typing import Final

LAB: Final = "lab"
SAAS: Final = "saas"
ENTERPRISE: Final = "enterprise"
T_SYSTEM: Final = "t_system"

MODES: Final = (LAB, SAAS, ENTERPRISE, T_SYSTEM)
SELLABLE_MODES: Final = frozenset({SAAS, ENTERPRISE, T_SYSTEM})
"""Modes whose data someone pays for: no embedded backend may hold it."""

SYSTEM_TENANT: Final = "t_system"
"""The tenant that owns the control plane's own data. Its mode is `lab` in a lab deployment, `t_system` elsewhere."""
