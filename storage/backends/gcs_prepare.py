"""The bucket that a route names: looked for, and created where it is missing."""

import json
from typing import Any, Final

from storage.backends.gcs_client import GcsConnection
from storage.backends.gcs_config import GcsConfig
from storage.backends.gcs_errors import MissingBucket, Sent, understood
from storage.config import reveal
from storage.errors import BackendRejected

CREATE_SECONDS: Final = 30.0

_TAKEN: Final = 409


def check_bucket(connection: GcsConnection, prefix: str) -> None:
    """Return when the bucket is there and may be listed. Raises MissingBucket, BackendRejected or BackendUnavailable."""
    query = {"prefix": prefix, "maxResults": 1, "fields": "kind"}
    answer = connection.call("GET", connection.objects_path, sent=Sent.READ, query=query)
    with understood(Sent.READ):
        json.loads(answer.data)


def prepare_bucket(connection: GcsConnection, config: GcsConfig) -> None:
    """Create the bucket where it is missing, without ACLs and closed to the public. One that exists stays as it is."""
    try:
        check_bucket(connection, config.prefix)
    except MissingBucket:
        _create(connection, config)
        check_bucket(
            connection, config.prefix
        )  # of somebody else's bucket, 409 says that it exists, and 403 whose it is


def _create(connection: GcsConnection, config: GcsConfig) -> None:
    query = {"project": _project(config), "fields": "name"}
    body = json.dumps(_bucket(config)).encode()
    headers = {"content-type": "application/json"}
    try:
        connection.call(
            "POST",
            "/storage/v1/b",
            sent=Sent.READ,  # it is looked for again, whatever became of this
            query=query,
            headers=headers,
            body=body,
            seconds=CREATE_SECONDS,
            expected=frozenset({_TAKEN}),
        )
    except BackendRejected as error:
        error.fix = (
            f"Give the account the role Storage Admin in the project, or create the bucket: `gcloud storage buckets create "
            f"gs://{config.bucket} --uniform-bucket-level-access --location=…`."
        )
        raise


def _bucket(config: GcsConfig) -> dict[str, Any]:
    uniform = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
    given = {
        "location": config.bucket_location,
        "storageClass": config.storage_class,
        "encryption": {"defaultKmsKeyName": config.kms_key} if config.kms_key else None,
    }
    return {
        "name": config.bucket,
        "iamConfiguration": uniform,
        **{name: value for name, value in given.items() if value},
    }


def _project(config: GcsConfig) -> str:
    key = config.credentials_json
    project = config.project or (json.loads(reveal(key)).get("project_id") if key else None)
    if not project:
        raise BackendRejected(
            f"The bucket {config.bucket!a} does not exist, and no project is named to create it in.",
            fix="Set the route's project, or create the bucket.",
        )
    return str(project)
