"""BACKENDS and KINDS: two literal dictionaries. Search for a name and you find it; everything else derives from them."""

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from northstar.errors import BackendNotImplemented, InvalidRequest, UnsupportedBackend
from northstar.modes import SELLABLE_MODES

DOCUMENTS: Final = "documents"
BLOBS: Final = "blobs"

CLOUD: Final = "cloud"
EMBEDDED: Final = "embedded"

PROJECT: Final = "project"
SURFACE: Final = "surface"


@dataclass(frozen=True, slots=True)
class Backend:
    """A service. `serves` maps a primitive to the dotted path of its driver; None until that driver has landed.

    `sdk` is the module that its drivers import at first use, `extra` the optional dependency of Northstar that brings it.
    """

    title: str
    backend_class: str
    serves: dict[str, str | None]
    sdk: str = ""
    extra: str = ""

    @property
    def installed(self) -> bool:
        """Whether the SDK is here, if it needs one. Nothing of it is imported to know."""
        return not self.sdk or is_installed(self.sdk)


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource kind. `needs` are the limits that a driver must declare at least, checked when a route is saved.

    `of_system`: it keeps what Northstar itself needs, so no tenant but `t_system` has use for a route.
    `collections` are the names of what it keeps, where these are more than one; a service may make a table of each.
    Documents of those in `append_only` are written once and never changed or removed.
    `parted_by` is what has data of its own within a tenant's environment.
    """

    title: str
    primitive: str
    path: str
    needs: dict[str, Any] = field(default_factory=dict)
    of_system: bool = False
    collections: tuple[str, ...] = ()
    append_only: frozenset[str] = frozenset()
    parted_by: frozenset[str] = frozenset({PROJECT, SURFACE})


BACKENDS: Final[dict[str, Backend]] = {
    "azure_blob": Backend(
        "Azure Blob Storage",
        CLOUD,
        {BLOBS: "storage.backends.azure_blob.AzureBlobs"},
        sdk="azure.storage.blob",
        extra="azure",
    ),
    "cosmos": Backend(
        "Azure Cosmos DB",
        CLOUD,
        {DOCUMENTS: "storage.backends.cosmos.CosmosDocuments"},
        sdk="azure.cosmos",
        extra="azure",
    ),
    "dynamodb": Backend(
        "Amazon DynamoDB", CLOUD, {DOCUMENTS: "storage.backends.dynamodb.DynamoDBDocuments"}, sdk="boto3", extra="aws"
    ),
    "filesystem": Backend(
        "Filesystem",
        EMBEDDED,
        {
            BLOBS: "storage.backends.local_files.LocalBlobs",
            DOCUMENTS: "storage.backends.filesystem.FilesystemDocuments",
        },
    ),
    "firestore": Backend(
        "Google Firestore",
        CLOUD,
        {DOCUMENTS: "storage.backends.firestore.FirestoreDocuments"},
        sdk="google.cloud.firestore",
        extra="gcp",
    ),
    "gcs": Backend(
        "Google Cloud Storage",
        CLOUD,
        {BLOBS: "storage.backends.gcs.GcsBlobs"},
        sdk="google.cloud.storage",
        extra="gcp",
    ),
    "s3": Backend("Amazon S3", CLOUD, {BLOBS: "storage.backends.s3.S3Blobs"}, sdk="boto3", extra="aws"),
}

KINDS: Final[dict[str, Kind]] = {
    "analytics_store": Kind(
        "Analytics store",
        DOCUMENTS,
        "storage.kinds.analytics_store.AnalyticsStore",
        {"ordered_scan": True, "strong_reads": True, "atomic_operations": 50},
    ),
    "event_stream": Kind(
        "Event stream",
        DOCUMENTS,
        "storage.kinds.event_stream.EventStream",
        {"ordered_scan": True, "strong_reads": True, "atomic_operations": 50},
    ),
    "memory_store": Kind(
        "Memory store",
        DOCUMENTS,
        "storage.kinds.memory_store.MemoryStore",
        {
            "ordered_scan": True,
            "strong_reads": True,
            "exact_expiry": True,
            "bounded_increment": True,
            "atomic_operations": 50,
        },
        parted_by=frozenset(),  # what a user has is found together, in whichever project
    ),
    "metrics_store": Kind(
        "Metrics store",
        DOCUMENTS,
        "storage.kinds.metrics_store.MetricsStore",
        {"ordered_scan": True, "strong_reads": True},
    ),
    "object_store": Kind(
        "Object store", BLOBS, "storage.kinds.object_store.ObjectStore", {"conditional_writes": True, "ranges": True}
    ),
    "routing_registry_store": Kind(
        "Routing registry",
        DOCUMENTS,
        "storage.kinds.routing_registry_store.RoutingRegistryStore",
        {"ordered_scan": True, "strong_reads": True},
        of_system=True,
    ),
    "rules_store": Kind(
        "Rules store",
        DOCUMENTS,
        "storage.kinds.rules_store.RulesStore",
        {"ordered_scan": True, "strong_reads": True},
        collections=(
            "bluestar-processing-pipeline",
            "bluestar-validation-rules",
            "bluestar-calculation-rules",
            "bluestar-irs-limits",
            "bluestar-batch-state",
            "bluestar-processing-results",
            "bluestar-audit-log",
            "bluestar-agent-config",
        ),
        append_only=frozenset({"bluestar-audit-log"}),
        parted_by=frozenset({PROJECT}),
    ),
    "tabular_store": Kind(
        "Tabular store",
        DOCUMENTS,
        "storage.kinds.tabular_store.TabularStore",
        {"ordered_scan": True, "bounded_increment": True, "strong_reads": True},
    ),
}

APPEND_ONLY: Final = frozenset[str]().union(*(kind.append_only for kind in KINDS.values()))
"""Collections whose documents nobody changes or removes, whichever kind asks."""


def backend_named(name: str) -> Backend:
    """Return the backend, whatever the name's case. Raises UnsupportedBackend."""
    backend = BACKENDS.get(name.lower())
    if backend is None:
        raise UnsupportedBackend(f"Unsupported backend_type={name!a}.", fix=f"Use one of: {', '.join(BACKENDS)}.")
    return backend


def kind_named(name: str) -> Kind:
    """Return the kind. Raises InvalidRequest, listing the kinds."""
    if name not in KINDS:
        raise InvalidRequest(f"Unknown resource_kind={name!a}.", fix=f"Use one of: {', '.join(KINDS)}.")
    return KINDS[name]


def backends_for(kind: str, mode: str) -> list[str]:
    """Names of the backends that may serve the kind in this mode, landed or not."""
    primitive = kind_named(kind).primitive
    return [
        name
        for name, backend in BACKENDS.items()
        if primitive in backend.serves and not (backend.backend_class == EMBEDDED and mode in SELLABLE_MODES)
    ]


@cache
def is_installed(module: str) -> bool:
    """Whether the module can be imported, as it was when this process first asked."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False


@cache
def load(dotted_path: str) -> Any:
    """Import a class by its dotted path, once."""
    module, _, name = dotted_path.rpartition(".")
    return getattr(import_module(module), name)


def driver_class(kind: str, backend_type: str) -> Any:
    """Return the driver class for a kind on a backend.

    Raises UnsupportedBackend, or BackendNotImplemented: there is no driver, or its SDK is not installed.
    """
    backend = backend_named(backend_type)
    path = backend.serves.get(kind_named(kind).primitive)
    if path is None:
        ready = [name for name, other in BACKENDS.items() if other.serves.get(kind_named(kind).primitive)]
        raise BackendNotImplemented(
            f"No driver serves resource_kind={kind} on backend_type={backend_type.lower()}.",
            fix=f"Choose a backend that serves it: {', '.join(ready)}.",
        )
    if not backend.installed:
        raise BackendNotImplemented(
            f"The SDK of backend_type={backend_type.lower()} is not installed here.",
            fix=f"Run `python3 make.py clouds` where the server runs, or install northstar[{backend.extra}].",
        )
    return load(path)
