"""What the fields of a collection group have: which indexes by themselves, and whether they say when a document expires."""

from tests.servers.firestore_fields import FieldPath

ASCENDING, DESCENDING, CONTAINS = "ASCENDING", "DESCENDING", "CONTAINS"
AUTOMATIC = frozenset({ASCENDING, DESCENDING, CONTAINS})
"""The single-field indexes of a collection that every field has until somebody says otherwise."""

Field = tuple[str, FieldPath]
"""A collection group and a field of its documents."""


class FieldSettings:
    """The settings of one database."""

    def __init__(self) -> None:
        self.indexes: dict[Field, frozenset[str]] = {}
        self.expiring: set[Field] = set()

    def indexes_of(self, collection: str, path: FieldPath) -> frozenset[str]:
        """Return the indexes of a field: its own, else those of the nearest map around it that has some set."""
        for length in range(len(path), 0, -1):
            if (collection, path[:length]) in self.indexes:
                return self.indexes[collection, path[:length]]
        return AUTOMATIC
