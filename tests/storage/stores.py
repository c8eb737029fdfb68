"""Opens kinds over the filesystem driver below a test's own folder; each call is a driver of its own, as in another process."""

from pathlib import Path
from typing import Any

from northstar.context import RequestContext
from storage.backends.filesystem import FilesystemDocuments
from storage.backends.filesystem_config import FilesystemConfig
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope


class FilesystemStores:
    """A factory of kinds that closes what it opened. The folder must be below NORTHSTAR_ALLOWED_ROOTS."""

    def __init__(self, folder: Path, driver_class: type[FilesystemDocuments] = FilesystemDocuments) -> None:
        self.folder = folder
        self._driver_class = driver_class
        self._drivers: list[FilesystemDocuments] = []

    def open(self, kind_class: Any, kind: str, tenant: str = "acme", folder: str = "var") -> Any:
        driver = self._driver_class(FilesystemConfig(base_dir=str(self.folder / folder)), mode="lab", epoch=1)
        self._drivers.append(driver)
        context = RequestContext(tenant, "dev", "lab")
        served_by = ServedBy(1, 1, "filesystem")
        return kind_class(GuardedDocuments(driver, scope=Scope.of(context), served_by=served_by, kind=kind), context)

    def close(self) -> None:
        for driver in self._drivers:
            driver.close()
