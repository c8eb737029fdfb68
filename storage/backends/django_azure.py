"""django-storages' AzureStorage over a route's container: nothing but the route's config says where to and as whom."""

from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final

from django.core.files.base import File
from storages.backends.azure_storage import AzureStorage

from storage.backends.azure_blob_config import AzureBlobConfig
from storage.backends.azure_blob_errors import Missing, Refused, Taken, answered, unanswered
from storage.backends.azure_blob_names import decode, decode_start, encode, encode_start
from storage.backends.django_files import MEMORY_BYTES, DjangoFiles
from storage.backends.service import READ_SECONDS
from storage.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


_UNSET: Final = (
    *("account_name", "account_key", "azure_container", "expiration_secs", "cache_control", "sas_token"),
    *("custom_domain", "connection_string", "token_credential", "api_version", "location"),
)


def azure_files(container: "Callable[[], ContainerClient]", config: AzureBlobConfig, location: str) -> DjangoFiles:
    """Return the files whose blobs' names begin with `location`. `container` gives the SDK's client, which is shared."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - the SDK is imported at first use

    return DjangoFiles(_AzureStorage(container, config, location), (AzureError,), _told)


class _AzureStorage(AzureStorage):  # type: ignore[misc] # it has no types
    def __init__(self, container: "Callable[[], ContainerClient]", config: AzureBlobConfig, location: str) -> None:
        super().__init__(azure_container=config.container, location=location)
        self._container = container
        self._config = config

    def get_default_settings(self) -> dict[str, Any]:
        """Return constants: Django's settings have no say."""
        nothing = dict.fromkeys(_UNSET)
        return nothing | {
            "object_parameters": {},
            "azure_ssl": True,
            "upload_max_conn": 1,
            "timeout": int(READ_SECONDS),
            "max_memory_size": MEMORY_BYTES,
            "overwrite_files": False,
            "default_content_type": "application/octet-stream",
            "endpoint_suffix": "",
            "client_options": {},
        }

    @property
    def client(self) -> "ContainerClient":
        return self._container()

    def create(self, name: str, content: Any, content_type: str) -> str:
        from azure.storage.blob import ContentSettings  # noqa: PLC0415 - the SDK is imported at first use

        content.seek(0)
        how: dict[str, Any] = {
            "standard_blob_tier": self._config.access_tier,
            "encryption_scope": self._config.encryption_scope,
        }
        self.client.upload_blob(
            self._get_valid_path(name),
            getattr(content, "file", content),
            length=content.size,
            content_settings=ContentSettings(content_type=content_type),
            overwrite=False,
            **{option: value for option, value in how.items() if value is not None},
        )
        return name

    def _open(self, name: str, mode: str = "rb") -> Any:  # noqa: ARG002 - it is only read
        """Return the file, downloaded; the class that this one is made of leaves its own open when there is no blob."""
        copy = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - its reader closes it
        try:
            self.client.download_blob(self._get_valid_path(name)).readinto(copy)
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return File(copy, name)

    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        """Return folders and files; the class that this one is made of returns every file below, and no folder."""
        from azure.storage.blob import BlobPrefix  # noqa: PLC0415 - the SDK is imported at first use

        home = f"{self.location}{path}/" if path else self.location
        folders, files = list[str](), list[str]()
        for one in self.client.walk_blobs(name_starts_with=encode_start(home), delimiter="/"):
            is_folder = isinstance(one, BlobPrefix)
            name = (decode_start if is_folder else decode)(str(one.name))
            if name is not None:
                (folders if is_folder else files).append(name.removeprefix(home).rstrip("/"))
        return folders, files

    def _get_valid_path(self, name: str) -> str:
        """Return the blob's name as the driver writes it. Names that Azure would change are written otherwise."""
        return encode(self.location + name)


def _told(error: Exception) -> Exception:
    from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 - the SDK is imported at first use

    assert isinstance(error, AzureError)
    if not isinstance(error, HttpResponseError) or error.response is None:
        return unanswered(error, write=True)
    response: Any = error.response
    status, headers = error.status_code or 0, dict(response.headers)
    code = str(getattr(error, "error_code", None) or "")
    told = answered(status, headers | ({"x-ms-error-code": code} if code else {}), write=True)
    if isinstance(told, Missing) or (status == 404 and not code):  # to HEAD Azure sends no body
        return NotFound("There is no such blob.")
    return AlreadyExists("The blob exists.") if isinstance(told, Taken | Refused) else told
