"""What this process tells itself after a change was committed; other processes learn of it by the snapshot revision."""

from typing import Final

from django.dispatch import Signal

route_changed: Final = Signal()
"""Sent with `change`, the audit row, once its transaction is committed."""
