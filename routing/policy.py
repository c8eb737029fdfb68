"""Which class of backend a mode may use: the one rule that the API, the resolver and the embedded drivers all ask."""

from collections.abc import Iterable

from northstar.errors import ForbiddenBackendClass
from northstar.modes import SELLABLE_MODES


def refuse_embedded(backend_type: str, mode: str, alternatives: Iterable[str] = (), *, resource_kind: str = "") -> None:
    """Refuse an embedded backend in a sellable mode.

    Raises ForbiddenBackendClass naming the mode, the backend and, where known, the backends that are allowed.
    """
    if mode not in SELLABLE_MODES:
        return
    allowed = ", ".join(alternatives)
    kind = f" for resource_kind={resource_kind}" if resource_kind else ""
    raise ForbiddenBackendClass(
        f"backend_type={backend_type}{kind} is not allowed in mode {mode}: "
        "it keeps data on one machine and is for mode lab only.",
        fix=f"Use one of: {allowed}." if allowed else "Use a cloud backend.",
    )
