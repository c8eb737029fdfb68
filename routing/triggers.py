"""Database triggers that make the audit trail append-only, whoever is connected.

SQLite drops a table's triggers when a migration rebuilds the table: such a migration must run `install` again, last.
"""

from typing import Any, Final

_SQLITE: Final = """
CREATE TRIGGER IF NOT EXISTS routing_routechange_no_{verb} BEFORE {verb} ON routing_routechange
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""
# REPLACE deletes the row in its way without asking the trigger on DELETE.
_SQLITE_REPLACE: Final = """
CREATE TRIGGER IF NOT EXISTS routing_routechange_no_replace BEFORE INSERT ON routing_routechange
WHEN EXISTS (SELECT 1 FROM routing_routechange WHERE id = NEW.id OR change_id = NEW.change_id)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""
_POSTGRES_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION routing_routechange_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
"""
_POSTGRES: Final = """
CREATE OR REPLACE TRIGGER routing_routechange_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON routing_routechange
FOR EACH STATEMENT EXECUTE FUNCTION routing_routechange_refuse()
"""


def install(schema_editor: Any) -> None:
    """Refuse UPDATE and DELETE of audit rows from now on (on PostgreSQL TRUNCATE too, on SQLite REPLACE); may be called again."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_POSTGRES_FUNCTION)
        schema_editor.execute(_POSTGRES)
        return
    for verb in ("update", "delete"):
        schema_editor.execute(_SQLITE.format(verb=verb))
    schema_editor.execute(_SQLITE_REPLACE)


def remove(schema_editor: Any) -> None:
    """Undo `install`: for migrating backwards."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER routing_routechange_no_change ON routing_routechange")
        schema_editor.execute("DROP FUNCTION routing_routechange_refuse()")
        return
    for verb in ("update", "delete", "replace"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS routing_routechange_no_{verb}")
