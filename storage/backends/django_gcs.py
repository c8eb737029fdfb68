"""django-storages' GoogleCloudStorage over a route's bucket: nothing but the route's config says where to and as whom."""

from collections.abc import Callable
from typing import Any, Final

from storages.backends.gcloud import GoogleCloudStorage

from storage.backends.django_files import MEMORY_BYTES, DjangoFiles
from storage.backends.gcs_config import GcsConfig
from storage.backends.gcs_errors import Refusal, Sent, refused, silent, unauthorized
from storage.backends.service import READ_SECONDS, Outrun
from storage.errors import AlreadyExists

ABSENT: Final = 0
"""The generation of an object that does not exist, as a condition."""


def gcs_files(client: Callable[[], Any], config: GcsConfig, location: str) -> DjangoFiles:
    """Return the files whose objects' names begin with `location`. `client` gives the SDK's client, which is shared."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - the SDK is imported at first use
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    failures = (GoogleAPIError, GoogleAuthError, RequestException)
    return DjangoFiles(_GcsStorage(client, config, location), failures, lambda error: _told(error, config.bucket))


class _GcsStorage(GoogleCloudStorage):  # type: ignore[misc] # it has no types
    def __init__(self, client: Callable[[], Any], config: GcsConfig, location: str) -> None:
        super().__init__(bucket_name=config.bucket, location=location)
        self._shared = client
        self._config = config

    def get_default_settings(self) -> dict[str, Any]:
        """Return constants: Django's settings have no say."""
        nothing = dict.fromkeys(
            (
                "project_id",
                "credentials",
                "bucket_name",
                "custom_endpoint",
                "default_acl",
                "blob_chunk_size",
                "sa_email",
            )
        )
        return nothing | {
            "location": "",
            "querystring_auth": True,
            "expiration": 3600,
            "gzip": False,
            "gzip_content_types": (),
            "file_overwrite": False,
            "object_parameters": {},
            "max_memory_size": MEMORY_BYTES,
            "iam_sign_blob": False,
        }

    @property
    def client(self) -> Any:
        return self._shared()

    @property
    def bucket(self) -> Any:
        return _bucket_class()(self.client, self.bucket_name)

    def create(self, name: str, content: Any, content_type: str) -> str:
        from google.cloud.storage import Blob  # noqa: PLC0415 - the SDK is imported at first use

        blob = Blob(self._normalize_name(name), self.bucket, kms_key_name=self._config.kms_key)
        blob.storage_class = self._config.storage_class
        blob.upload_from_file(
            content,
            rewind=True,
            size=content.size,
            content_type=content_type,
            if_generation_match=ABSENT,
            retry=None,  # a second try would meet the object of a first one whose answer was lost
            timeout=READ_SECONDS,
        )
        return name


def _bucket_class() -> Any:
    from google.cloud.storage import Bucket  # noqa: PLC0415 - the SDK is imported at first use

    class Once(Bucket):  # type: ignore[misc] # it has no types
        """Asks once, with a deadline: the SDK would go on for two minutes while somebody waits for a page."""

        def get_blob(self, *arguments: Any, **options: Any) -> Any:
            return super().get_blob(*arguments, **options, retry=None, timeout=READ_SECONDS)

        def delete_blob(self, name: str, **_: Any) -> None:
            super().delete_blob(name, retry=None, timeout=READ_SECONDS)

        def list_blobs(self, **options: Any) -> Any:
            return super().list_blobs(**options, retry=None, timeout=READ_SECONDS)

    return Once


def _told(error: Exception, bucket: str) -> Exception:
    from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415 - the SDK is imported at first use
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    if isinstance(error, GoogleAuthError):
        return unauthorized(error)
    if not isinstance(error, GoogleAPICallError):
        return silent(type(error).__name__, Sent.WRITE)
    reasons = [one.get("reason", "") for one in error.errors if isinstance(one, dict)]
    refusal = Refusal(int(error.code or 0), reasons[0] if reasons else "", str(error.message))
    told = refused(refusal, Sent.WRITE, bucket=bucket)
    return AlreadyExists("The object exists.") if isinstance(told, Outrun) else told
