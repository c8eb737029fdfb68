"""django-storages' S3Storage over a route's bucket: nothing but the route's config says where to and as whom."""

import threading
from typing import Any, Final

from storages.backends.s3 import S3Storage

from storage.backends import aws_sessions
from storage.backends.aws_errors import of_credentials, of_sdk
from storage.backends.django_files import MEMORY_BYTES, DjangoFiles
from storage.backends.s3_config import S3Config
from storage.backends.s3_errors import SERVICE, ConditionFailed, NotThere, Refusal
from storage.errors import AlreadyExists, BackendUnavailable, NotFound

PART_BYTES: Final = 8 * 1024 * 1024
_CREATES: Final = ("PutObject", "CompleteMultipartUpload")
"""The requests that make an object: S3 does both on condition."""
_DESCRIBES: Final = ("PutObject", "CreateMultipartUpload")

_UNSET: Final = (
    *("access_key", "secret_key", "security_token", "session_profile", "custom_domain", "cloudfront_key_id"),
    *("cloudfront_key", "endpoint_url", "proxies", "region_name", "verify", "default_acl", "client_config"),
    *("signature_version", "addressing_style", "bucket_name", "transfer_config"),
)


class S3Resource:
    """The SDK's resource of one driver, built at first use of each thread: it is not made to be shared."""

    def __init__(self, config: S3Config) -> None:
        self.config = config
        self._mine = threading.local()
        self._clients: list[Any] = []
        self._closed = False

    def get(self) -> Any:
        """Return this thread's resource. Raises BackendUnavailable once closed, or what finding credentials raises."""
        if self._closed:
            raise BackendUnavailable("This store is closed: its route has changed.", fix="Open it again.")
        resource = getattr(self._mine, "resource", None)
        if resource is None:
            resource = self._mine.resource = aws_sessions.sessions.resource("s3", self.config)
            client = resource.meta.client
            for operation in _CREATES:
                client.meta.events.register(f"before-call.s3.{operation}", _only_where_nothing_is)
            for operation in _DESCRIBES:
                client.meta.events.register(f"before-call.s3.{operation}", self._stored_as)
            self._clients.append(client)
        return resource

    def _stored_as(self, params: dict[str, Any], **_: Any) -> None:
        params["headers"].update(self.config.stored_as())

    def close(self) -> None:
        """Close the connections of all threads."""
        self._closed = True
        while self._clients:
            self._clients.pop().close()


def s3_files(resource: S3Resource, location: str) -> DjangoFiles:
    """Return the files whose objects' names begin with `location`."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - at first use
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    failures = (Boto3Error, BotoCoreError, ClientError)
    return DjangoFiles(_S3Storage(resource, location), failures, lambda error: _told(error, resource.config))


class _S3Storage(S3Storage):  # type: ignore[misc] # it has no types
    def __init__(self, resource: S3Resource, location: str) -> None:
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 - at first use

        super().__init__(
            bucket_name=resource.config.bucket,
            location=location,
            max_memory_size=MEMORY_BYTES,
            transfer_config=TransferConfig(
                multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
            ),
        )
        self._resource = resource

    def get_default_settings(self) -> dict[str, Any]:
        """Return constants: neither Django's settings nor the environment has a say."""
        nothing = dict.fromkeys(_UNSET)
        return nothing | {
            "file_overwrite": False,
            "object_parameters": {},
            "querystring_auth": True,
            "querystring_expire": 3600,
            "location": "",
            "file_name_charset": "utf-8",
            "gzip": False,
            "gzip_content_types": (),
            "url_protocol": "https:",
            "use_ssl": True,
            "max_memory_size": MEMORY_BYTES,
            "use_threads": True,
        }

    @property
    def connection(self) -> Any:
        return self._resource.get()

    def create(self, name: str, content: Any, content_type: str) -> str:
        content.content_type = content_type
        stored: str = self._save(name, content)
        return stored

    def _get_write_parameters(self, name: str, content: Any = None) -> dict[str, str]:  # noqa: ARG002
        return {"ContentType": content.content_type}


def _only_where_nothing_is(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["If-None-Match"] = "*"


def _told(error: Exception, config: S3Config) -> Exception:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - at first use

    if not isinstance(error, ClientError):
        return of_sdk(error, SERVICE)
    if error.operation_name == "AssumeRole":
        return of_credentials(error)
    answer, refusal = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
    code, status = refusal.get("Code", ""), answer.get("HTTPStatusCode", 0)
    # To HEAD S3 sends no body, and the SDK puts the status where the code stands.
    told = Refusal(
        error.operation_name,
        status,
        "" if code == str(status) else code,
        refusal.get("Message", ""),
        answer.get("HTTPHeaders", {}),
    ).raised(config)
    if isinstance(told, NotThere):
        return NotFound("There is no such object.")
    return AlreadyExists("The object exists.") if isinstance(told, ConditionFailed) else told
