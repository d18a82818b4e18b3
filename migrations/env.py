"""Alembic's way in: migrates over the connection that app/db.py hands over, or over the settings' database."""

from alembic import context
from sqlalchemy import Connection

from app import settings
from app.db import Database
from app.tables import metadata


def migrate(connection: Connection) -> None:
    """Run the wanted migrations inside the connection's transaction."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    Database(settings.read().database).write_now(migrate)
