"""Database triggers that make the audit trail append-only, whoever is connected.

SQLite drops a table's triggers when a migration rebuilds the table: such a migration must run `install` again, last.
"""

from typing import Any, Final

_SQLITE: Final = """
CREATE TRIGGER routing_routechange_no_{verb} BEFORE {verb} ON routing_routechange
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""
_POSTGRES_FUNCTION: Final = """
CREATE FUNCTION routing_routechange_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
"""
_POSTGRES: Final = """
CREATE TRIGGER routing_routechange_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON routing_routechange
FOR EACH STATEMENT EXECUTE FUNCTION routing_routechange_refuse()
"""


def install(schema_editor: Any) -> None:
    """Refuse UPDATE and DELETE (on PostgreSQL TRUNCATE too) of audit rows from now on."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_POSTGRES_FUNCTION)
        schema_editor.execute(_POSTGRES)
        return
    for verb in ("update", "delete"):
        schema_editor.execute(_SQLITE.format(verb=verb))


def remove(schema_editor: Any) -> None:
    """Undo `install`: for migrating backwards."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER routing_routechange_no_change ON routing_routechange")
        schema_editor.execute("DROP FUNCTION routing_routechange_refuse()")
        return
    for verb in ("update", "delete"):
        schema_editor.execute(f"DROP TRIGGER routing_routechange_no_{verb}")
