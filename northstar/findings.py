"""What `doctor` finds wrong."""

from dataclasses import dataclass
from typing import Final

ERROR: Final = "error"
WARNING: Final = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. `level` is error when it stops requests now, else warning; `fix` says what to do."""

    level: str
    subject: str
    detail: str
    fix: str
