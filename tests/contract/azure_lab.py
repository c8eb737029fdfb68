"""What the tests of the Azure Blob driver share: configs, drivers, and guarded objects of a tenant."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from pydantic import SecretStr

from northstar.modes import LAB
from storage.backends.azure_blob import AzureBlobs
from storage.backends.azure_blob_config import AzureBlobConfig
from storage.blob_guard import GuardedBlobs
from storage.guard import ServedBy
from storage.keys import Scope
from tests.stack.fixtures import AzureContainer

BACKEND = "azure_blob (Azurite)"
ACME = Scope("acme", "dev")


def azure_config(container: AzureContainer, **changes: Any) -> AzureBlobConfig:
    """Return a config for a container of the emulator, or of a proxy before it (`endpoint`)."""
    fields = {
        "account": container.account,
        "container": container.container,
        "endpoint": container.endpoint,
        "account_key": SecretStr(container.key),
        **changes,
    }
    return AzureBlobConfig(**fields)


@contextmanager
def azure_driver(config: AzureBlobConfig) -> Iterator[AzureBlobs]:
    """A driver whose container exists."""
    with closing(AzureBlobs(config, mode=LAB, epoch=1)) as driver:
        driver.prepare()
        yield driver


def guarded(driver: AzureBlobs, scope: Scope = ACME, secrets: tuple[str, ...] = ()) -> GuardedBlobs:
    """A scope's objects."""
    return GuardedBlobs(
        driver,
        scope=scope,
        served_by=ServedBy(1, 1, "azure_blob"),
        kind="object_store",
        secrets=secrets,
    )
