"""Laying down the shipped contracts: as the GLOBAL ones, or for one tenant; what stands is left alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from analytics.contracts.model import version_key
from analytics.contracts.saving import Draft, save_contract
from analytics.contracts.seeds import Seed, seeds
from analytics.contracts.store import open_contracts
from northstar.context import RequestContext
from routing.audit import Cause


@dataclass(frozen=True, slots=True)
class Seeded:
    """What became of one seed: created, updated (a newer version is shipped), or left alone."""

    platform: str
    version: str
    status: str
    outcome: Literal["created", "updated", "unchanged"]


def seed_contracts(context: RequestContext, cause: Cause, platforms: Iterable[str] = ()) -> list[Seeded]:
    """Save each seed, or those of these platforms, unless the same or a newer version is there. A second run changes nothing.

    Raises as `save_contract`.
    """
    wanted = set(platforms)
    return [_seed(context, one, cause) for one in seeds() if not wanted or one.platform in wanted]


def _seed(context: RequestContext, one: Seed, cause: Cause) -> Seeded:
    head = open_contracts(context).head(one.platform)
    if head and version_key(head.contract.version) >= version_key(one.version):
        return Seeded(one.platform, head.contract.version, head.contract.status, "unchanged")
    draft = Draft(
        platform=one.platform,
        rules=one.rules,
        version=one.version,
        status=one.status,
        mode=None if head else one.mode,
        notes=one.notes,
    )
    saved = save_contract(context, draft, cause)
    contract = saved.stored.contract
    return Seeded(one.platform, contract.version, contract.status, "created" if saved.created else "updated")
