"""Origins: scheme, host and port of an address, and the lists that allow some."""

import re
from typing import Final, NamedTuple

ANY_PORT: Final = "*"
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}|\*))?/?")
_PORTS: Final = {"http": "80", "https": "443"}


class Origin(NamedTuple):
    """Where an address leads; the port is always told, and `*` in a list stands for any."""

    scheme: str
    host: str
    port: str

    def is_allowed_by(self, allowed: "Origin") -> bool:
        """Whether a list's entry covers this origin."""
        return self[:2] == allowed[:2] and allowed.port in {self.port, ANY_PORT}


def parse_origin(text: str) -> Origin:
    """Return the origin. Raises ValueError for anything but `http(s)://host[:port]`: no path, no credentials."""
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ValueError("must be an origin such as https://dynamodb.internal:8000, without a path or credentials")
    scheme, host, port = found.groups()
    return Origin(scheme, host, port or _PORTS[scheme])
