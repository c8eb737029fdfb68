"""The config of the Firestore driver: which database, with which credentials, at which address."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from storage.config import BackendConfig, Endpoint, Secret

_PROJECT: Final = r"^[a-z0-9][a-z0-9.:-]{1,98}[a-z0-9]$"
"""A project id, with the domain in front where the project has one, such as `example.com:orders`."""
_DATABASE: Final = r"^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$"


class FirestoreConfig(BackendConfig):
    """Where the database is. Only the project has to be given; nothing is read from the SDK's environment variables."""

    location_fields: ClassVar[frozenset[str]] = frozenset({"database", "endpoint", "project"})

    project: Annotated[
        str,
        Field(
            pattern=_PROJECT, title="Project", description="The id of the Google Cloud project, such as orders-prod."
        ),
    ]
    database: Annotated[
        str,
        Field(
            pattern=_DATABASE,
            title="Database",
            description="The id of a Firestore database in native mode. It must exist; (default) is the project's first.",
        ),
    ] = "(default)"
    credentials_json: Annotated[
        Secret | None,
        Field(
            title="Service account key",
            description="The JSON of a key whose account has the role Cloud Datastore User. Empty: the platform's own chain "
            "(workload identity, the machine's service account).",
        ),
    ] = None
    endpoint: Annotated[
        Endpoint | None,
        Field(
            title="Endpoint",
            description="Another address than Google's, from the deployment's list. A plain http address is an emulator's: "
            "it gets no credentials.",
        ),
    ] = None
