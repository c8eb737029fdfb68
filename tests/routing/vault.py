"""A backend for tests of the control plane: it has a secret and a location, and keeps documents in a folder."""

from typing import Any, ClassVar

from pydantic import Field

from northstar.errors import InvalidConfig
from northstar.modes import LAB
from routing.resolve import ResolvedRoute, driver_config
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.config import BackendConfig, Secret
from storage.documents import Limits
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
        self._epoch = epoch

    def ping(self) -> None:
        """Answer, unless the place is one that cannot be reached."""
        if self._place == "unreachable":
            raise BackendUnavailable("The vault does not answer.")

    def __getattr__(self, operation: str) -> Any:
        """Keep documents as the filesystem does, in a folder for each place."""
        self.ping()
        config = FilesystemConfig(base_dir=f"vault/{self._place}", durability="none")
        self._files = FilesystemDocuments(config, mode=LAB, epoch=self._epoch)
        return getattr(self._files, operation)

    def close(self) -> None:
        """Close what was opened."""
        if "_files" in vars(self):
            self._files.close()


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
