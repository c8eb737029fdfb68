"""Opens drivers of S3 on a bucket of a test's own, over whatever server the account is at."""

from typing import Any

from northstar.modes import LAB
from storage.backends.s3 import S3Blobs
from storage.backends.s3_config import S3Config
from storage.blob_guard import GuardedBlobs
from storage.guard import ServedBy
from storage.keys import Scope
from tests.contract.blob_contract import OpenBlobs
from tests.stack.fixtures import AwsAccount, unique


class S3Lab:
    """A factory of drivers that closes what it opened; `settings` are pytest-django's."""

    def __init__(self, account: AwsAccount, settings: Any) -> None:
        self.account = account
        self.bucket = unique("bucket")
        self._settings = settings
        self._drivers: list[S3Blobs] = []

    def allow(self, endpoint: str) -> str:
        """Put an address on the deployment's list."""
        self._settings.NORTHSTAR_ALLOWED_ENDPOINTS = [*self._settings.NORTHSTAR_ALLOWED_ENDPOINTS, endpoint]
        return endpoint

    def config(self, endpoint: str = "", **options: Any) -> S3Config:
        """Return the config of the test's bucket, at the account's own server or at another address."""
        place = {
            "bucket": self.bucket,
            "region": self.account.region,
            "endpoint": self.allow(endpoint or self.account.endpoint),
        }
        keys = {"access_key_id": self.account.access_key, "secret_access_key": self.account.secret_key}
        return S3Config.model_validate(place | keys | options)

    def driver(self, endpoint: str = "", *, epoch: int = 1, **options: Any) -> S3Blobs:
        """Open a driver; the bucket need not exist."""
        driver = S3Blobs(self.config(endpoint, **options), mode=LAB, epoch=epoch)
        self._drivers.append(driver)
        return driver

    def prepared(self, **options: Any) -> S3Blobs:
        """Open a driver whose bucket exists."""
        driver = self.driver(**options)
        driver.prepare()
        return driver

    def close(self) -> None:
        for driver in self._drivers:
            driver.close()


def guarded(
    driver: S3Blobs, tenant: str = "acme", env: str = "dev", project: str | None = None, surface: str = "_"
) -> GuardedBlobs:
    """The driver inside a scope."""
    served_by = ServedBy(1, 1, "s3")
    return GuardedBlobs(driver, scope=Scope(tenant, env, project, surface), served_by=served_by, kind="object_store")


def opener(lab: S3Lab) -> OpenBlobs:
    """Prepare the bucket, and return what opens a scope's objects in it, each time through a driver of its own."""
    lab.prepared()

    def open_them(
        tenant: str = "acme", env: str = "dev", project: str | None = None, surface: str = "_"
    ) -> GuardedBlobs:
        return guarded(lab.driver(), tenant, env, project, surface)

    return open_them
