"""Put a seed into a rules store: what is missing is added, part by part, each as one revision that can be rolled back.

What somebody has changed is kept, unless the seed's own is asked for. Where nothing is missing, nothing changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rules.seeds.reading import Seed
from rules.seeds.rows import rows_of
from rules.seeds.shapes import Agent
from storage.documents import ABSENT
from storage.kinds.rules_publishing import Difference
from storage.kinds.rules_rows import AnyRow, CalculationRule, Limit, Step, ValidationRule
from storage.kinds.rules_store import RulesStore

_PARTS: Final[tuple[tuple[str, type[Any]], ...]] = (
    ("Limits", Limit),
    ("Calculation rules", CalculationRule),
    ("Validation rules", ValidationRule),
    ("Pipeline steps", Step),
)
"""In this order no revision names what is not there yet."""
AGENTS: Final = "Agents"


@dataclass(frozen=True, slots=True)
class Part:
    """What goes into one table."""

    title: str
    rows: Sequence[AnyRow] = ()
    agents: Sequence[Agent] = ()

    @property
    def size(self) -> int:
        """How many rows it has."""
        return len(self.rows) + len(self.agents)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What became of one part: how many rows it has, what was added or replaced, and what stands differently and was kept."""

    title: str
    size: int
    written: tuple[str, ...]
    kept: tuple[str, ...]


def parts_of(seed: Seed, client: str | None) -> list[Part]:
    """Return the seed by table, in the order in which it is written."""
    rows = rows_of(seed, client)
    parts = [Part(title, [row for row in rows if isinstance(row, kind)]) for title, kind in _PARTS]
    return [*parts, Part(AGENTS, agents=seed.agents.agents)]


def put(store: RulesStore, parts: Sequence[Part], *, replace: bool = False, dry_run: bool = False) -> Iterator[Seeded]:
    """Put the parts into the store, and yield what became of each. `replace` takes the seed's rows where others stand.

    Raises RulesRefused or StoreError; the parts before that stand then, and a further run adds the rest.
    """
    for part in parts:
        if part.agents:
            yield _put_agents(store, part, replace=replace, dry_run=dry_run)
        else:
            yield _put_rows(store, part, replace=replace, dry_run=dry_run)


def _put_rows(store: RulesStore, part: Part, *, replace: bool, dry_run: bool) -> Seeded:
    differing = store.publish(part.rows, reason="", dry_run=True).differences
    written = [one for one in differing if replace or not one.before]
    if written and not dry_run:
        reason = f"seed_rules: {part.title.lower()} of the example{', in place of what stood' if replace else ''}."
        store.publish(part.rows, reason=reason, keep_existing=not replace)
    kept = [one for one in differing if not replace and one.before]
    return Seeded(part.title, part.size, _named(written), _named(kept))


def _named(differences: Sequence[Difference]) -> tuple[str, ...]:
    """Name each row that differs, as the seed has it."""
    return tuple(
        " ".join(filter(None, [one.kind, one.owner, one.name, one.slot, f"from {said.valid_from}"]))
        for one in differences
        for said in one.after
    )


def _put_agents(store: RulesStore, part: Part, *, replace: bool, dry_run: bool) -> Seeded:
    written, kept = [], []
    for agent in part.agents:
        wanted = {name: {"value": one.content, "unit": one.unit} for name, one in agent.config.items()}
        stands = store.get_agent_config(agent.agent)
        if stands is not None and dict(stands.config) == wanted:
            continue
        if stands is not None and not replace:
            kept.append(agent.agent)
            continue
        written.append(agent.agent)
        if not dry_run:
            store.save_agent_config(agent.agent, wanted, expect=stands.revision if stands else ABSENT)
    return Seeded(part.title, part.size, tuple(written), tuple(kept))
