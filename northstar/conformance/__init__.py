"""The behaviour contract, run against the service behind a real route."""
