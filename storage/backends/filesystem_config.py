"""The config of both filesystem drivers: where the root folder lies, and how durable a write is."""

import os
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from django.conf import settings
from pydantic import Field

from routing.policy import refuse_embedded
from storage.config import BackendConfig, Root


class FilesystemConfig(BackendConfig):
    """Where files lie. Both fields may be left out."""

    location_fields: ClassVar[frozenset[str]] = frozenset({"base_dir"})

    base_dir: Annotated[
        Root | None,
        Field(
            title="Base folder",
            description="A folder inside the allowed roots, absolute or below NORTHSTAR_HOME. Empty: NORTHSTAR_HOME itself.",
        ),
    ] = None
    durability: Annotated[
        Literal["fsync", "none"],
        Field(
            title="Durability",
            description="fsync: a write survives a power cut before it is acknowledged. none: it survives a crash of Northstar, "
            "but a power cut may lose the last seconds.",
        ),
    ] = "fsync"


def refuse_outside_lab(mode: str) -> None:
    """Refuse to keep files in a sellable mode. Raises ForbiddenBackendClass; both drivers ask when they are built."""
    refuse_embedded("filesystem", mode)


def root_folder(config: FilesystemConfig) -> Path:
    """Return the absolute root folder with links resolved. It need not exist yet."""
    home = Path(settings.NORTHSTAR_HOME)
    return Path(os.path.realpath(home / config.base_dir if config.base_dir else home))
