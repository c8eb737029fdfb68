"""Test servers of our own: they speak a service's real wire protocol to its unmodified SDK, and refuse what they do not know."""
