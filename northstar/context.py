"""RequestContext: who asks, for which tenant, environment and project. Every store operation receives one."""

from dataclasses import dataclass

NO_SURFACE = "_"
"""The surface of a request that names none."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What one request may see. Built once, by authentication, and never from process state.

    Every value is already validated and normalised: `mode` is lower case, `surface_id` canonical, `project_id` None when absent.
    `actor` names who acts in audit rows (`key:<id>`, `user:<name>`, `command:<name>`).
    """

    tenant_id: str
    env: str
    mode: str
    project_id: str | None = None
    app_id: str | None = None
    surface_id: str = NO_SURFACE
    user_id: str | None = None
    actor: str = ""
    request_id: str = ""
