"""Opens drivers of DynamoDB on a test's own account, over whatever server that account is at."""

from collections.abc import Sequence
from typing import Any

from northstar.modes import LAB
from storage.backends.dynamodb import DynamoDBDocuments
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.guard import GuardedDocuments, ServedBy
from storage.keys import Scope
from tests.stack.fixtures import AwsAccount


class DynamoDBLab:
    """A factory of drivers that closes what it opened; `settings` are pytest-django's."""

    def __init__(self, account: AwsAccount, settings: Any) -> None:
        self.account = account
        self._settings = settings
        self._drivers: list[DynamoDBDocuments] = []

    def config(self, endpoint: str = "", **options: Any) -> DynamoDBConfig:
        """Return the config of the account's table, at its own server or at another address."""
        endpoint = endpoint or self.account.endpoint
        self._settings.NORTHSTAR_ALLOWED_ENDPOINTS = [*self._settings.NORTHSTAR_ALLOWED_ENDPOINTS, endpoint]
        keys = {"access_key_id": self.account.access_key, "secret_access_key": self.account.secret_key}
        return DynamoDBConfig.model_validate(keys | {"region": self.account.region, "endpoint": endpoint} | options)

    def driver(
        self, endpoint: str = "", *, epoch: int = 1, collections: Sequence[str] = (), **options: Any
    ) -> DynamoDBDocuments:
        """Open a driver; the table need not exist."""
        driver = DynamoDBDocuments(self.config(endpoint, **options), mode=LAB, epoch=epoch, collections=collections)
        self._drivers.append(driver)
        return driver

    def prepared(self, **options: Any) -> DynamoDBDocuments:
        """Open a driver whose table exists."""
        driver = self.driver(**options)
        driver.prepare()
        return driver

    def close(self) -> None:
        for driver in self._drivers:
            driver.close()


def guarded(
    driver: DynamoDBDocuments, tenant: str = "acme", env: str = "dev", project: str | None = None, surface: str = "_"
) -> GuardedDocuments:
    """The driver inside a scope."""
    served_by = ServedBy(1, 1, "dynamodb")
    return GuardedDocuments(
        driver, scope=Scope(tenant, env, project, surface), served_by=served_by, kind="tabular_store"
    )
