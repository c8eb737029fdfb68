"""The config of the Cosmos DB driver: which account, database and container, with which credentials, read how."""

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from northstar.errors import InvalidConfig
from northstar.modes import SELLABLE_MODES
from storage.backends.azure_identity import ClientId, ClientSecret, EntraTenant
from storage.config import BackendConfig, Endpoint, Secret

SESSION: Final = "session"

_ACCOUNT: Final = re.compile(r"https://[a-z0-9][a-z0-9-]{1,42}[a-z0-9]\.documents\.azure\.(com|cn|us)(:443)?/?")
"""An account of the public cloud, of China or of the United States government."""
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_LISTED: Final[TypeAdapter[str]] = TypeAdapter(Endpoint)


def _check_account(value: str) -> str:
    return value if _ACCOUNT.fullmatch(value) else _LISTED.validate_python(value)


Account = Annotated[str, AfterValidator(_check_account)]
"""The address of an Azure account; any other only when it is in NORTHSTAR_ALLOWED_ENDPOINTS."""


class CosmosConfig(BackendConfig):
    """Where documents lie, and who asks. Without `key` and `client_secret` the platform's own identity is used."""

    location_fields: ClassVar[frozenset[str]] = frozenset({"endpoint", "database", "container"})

    endpoint: Annotated[
        Account,
        Field(
            title="Account endpoint", description="https://<account>.documents.azure.com, from the account's overview."
        ),
    ]
    database: Annotated[
        str, Field(title="Database", pattern=_NAME, description="Created by `routes prepare` where it is missing.")
    ] = "northstar"
    container: Annotated[
        str,
        Field(
            title="Container",
            pattern=_NAME,
            description="Holds all of the route's documents. Created as the database is.",
        ),
    ] = "northstar"
    key: Annotated[
        Secret | None,
        Field(title="Account key", description="A primary or secondary key. Empty: an identity of Microsoft Entra."),
    ] = None
    tenant_id: EntraTenant = None
    client_id: ClientId = None
    client_secret: ClientSecret = None
    consistency: Annotated[
        Literal["strong", "session"],
        Field(
            title="Consistency",
            description="strong: the account's default consistency must be Strong, or Bounded Staleness with one write region. "
            "session: for an emulator in mode lab; what another process wrote may be read late.",
        ),
    ] = "strong"
    billing: Annotated[
        Literal["serverless", "autoscale", "manual"],
        Field(title="Billing", description="How a container that `routes prepare` creates is paid for."),
    ] = "serverless"
    throughput: Annotated[
        int | None,
        Field(
            title="Throughput",
            ge=400,
            le=1_000_000,
            description="Request units per second: the most with autoscale (from 1000), the constant with manual.",
        ),
    ] = None

    @model_validator(mode="after")
    def _check_together(self) -> "CosmosConfig":
        if (self.throughput is None) != (self.billing == "serverless"):
            raise ValueError("throughput goes with billing autoscale or manual, and only with these")
        if self.key is None and self.endpoint.startswith("http:"):
            raise ValueError(
                "an endpoint over plain http, such as an emulator's, goes with key: no token is sent without TLS"
            )
        if self.client_secret is not None and (self.key is not None or not (self.tenant_id and self.client_id)):
            raise ValueError("client_secret goes with tenant_id and client_id, and without key")
        return self


def refuse_stale_reads(config: CosmosConfig, mode: str) -> None:
    """Refuse `session` in a sellable mode: the contract promises strong reads. Raises InvalidConfig."""
    if config.consistency == SESSION and mode in SELLABLE_MODES:
        raise InvalidConfig(
            f"consistency=session is not allowed in mode {mode}: another process may read an old document.",
            fix="Use consistency=strong, and set the account's default consistency to Strong.",
        )
