"""The database's roles: one that owns the schema and nobody logs in as, and one login for each service that uses it."""

from typing import Final

from leadline.model.services import database_logins

OWNER_ROLE: Final = "leadline_owner"
READER: Final = "reader"
"""The login of people and of what only shows."""
READER_CONNECTIONS: Final = 8

CONNECTION_LIMITS: Final = {**database_logins(), READER: READER_CONNECTIONS}
"""Connections that a role may have at a time, over all its processes.

Together they leave room in the 100 that PostgreSQL accepts by default: no role can take another's.
"""

SERVICE_ROLES: Final = tuple(CONNECTION_LIMITS)
"""The roles that log in. Their rights stand with the migrations, in the grants."""

DEFAULT_CONNECTION_LIMIT: Final = 8


def login_role(service: str) -> str:
    """The role that a service logs in as."""
    return f"leadline_{service}"
