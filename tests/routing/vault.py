"""A backend for tests of the control plane: it has a secret and a location, and keeps nothing for longer than a driver lives."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field

from northstar.errors import InvalidConfig
from northstar.modes import LAB
from routing.resolve import ResolvedRoute, driver_config
from storage.config import BackendConfig, Secret
from storage.documents import Document, Fields, Limits, Page, Partition, Ref, Written
from storage.errors import BackendUnavailable
from storage.registry import CLOUD, DOCUMENTS, Backend

CANARY = "canary-5f1d7c3a"
"""A secret that must show up nowhere."""


class VaultConfig(BackendConfig):
    location_fields = frozenset({"place"})

    place: str = Field(title="Place", description="Where the data lies.", min_length=1)
    password: Secret | None = Field(default=None, title="Password", description="Write-only.")
    pool: int = Field(default=4, ge=1, le=64, title="Pool size", description="Connections per process.")


class VaultDocuments:
    Config = VaultConfig
    limits: ClassVar[Limits] = Limits()

    def __init__(self, config: VaultConfig, *, mode: str, epoch: int) -> None:
        """Refuse a place that only a lab may have, as a driver refuses what its mode does not allow."""
        if config.place == "lab only" and mode != LAB:
            raise InvalidConfig(f"The place is not allowed in mode {mode}.", fix="Choose another place.")

        self._place = config.place
        self._documents: dict[str, Document] = {}

    def ping(self) -> None:
        """Answer, unless the place is one that cannot be reached."""
        if self._place == "unreachable":
            raise BackendUnavailable("The vault does not answer.")

    def put(self, ref: Ref, fields: Fields, **_options: Any) -> Written:
        """Keep a document, as all that follows for as long as the driver lives: what a probe needs."""
        self.ping()
        written = Written(1, datetime.now(UTC))
        self._documents[ref.key] = Document(ref, dict(fields), written.version, written.updated_at)
        return written

    def get(self, ref: Ref) -> Document | None:
        return self._documents.get(ref.key)

    def scan(self, _collection: str, _partition: Partition, **_options: Any) -> Page:
        return Page(tuple(self._documents.values()))

    def delete(self, ref: Ref, **_options: Any) -> bool:
        self.ping()
        return self._documents.pop(ref.key, None) is not None

    def close(self) -> None:
        """Nothing was opened."""


class WeakDocuments(VaultDocuments):
    """Cannot read in order, so no stream can live on it."""

    limits: ClassVar[Limits] = Limits(ordered_scan=False)


def opened(route: ResolvedRoute) -> VaultConfig:
    """A route's config with its secrets in clear, as its driver would get it."""
    config = driver_config(route)
    assert isinstance(config, VaultConfig)
    return config


BANK = Backend("Bank", CLOUD, {DOCUMENTS: "tests.routing.vault.VaultDocuments"})
VAULT = Backend("Vault", CLOUD, {DOCUMENTS: "tests.routing.vault.VaultDocuments"})
WEAK = Backend("Weak", CLOUD, {DOCUMENTS: "tests.routing.vault.WeakDocuments"})
