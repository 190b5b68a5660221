"""The database's roles: one that owns the schema and nobody logs in as, and one login for each service."""

from typing import Final

OWNER_ROLE: Final = "leadline_owner"
# Services that use the database. What each may do stands with the migrations, in the grants.
SERVICE_ROLES: Final = ("ingestion", "aggregation", "recorder", "execution", "supervisor", "reader")


def login_role(service: str) -> str:
    """The role that a service logs in as."""
    return f"leadline_{service}"
