"""The database's roles: one that owns the schema and nobody logs in as, and one login for each service."""

from typing import Final

OWNER_ROLE: Final = "leadline_owner"
# Services that use the database. What each may do stands with the migrations, in the grants.
SERVICE_ROLES: Final = ("ingestion", "aggregation", "recorder", "execution", "supervisor", "reader")

CONNECTION_LIMITS: Final = {
    "ingestion": 8,
    "aggregation": 8,
    "recorder": 8,
    "execution": 50,
    "supervisor": 10,
    "reader": 8,
}
"""Connections that a role may have at a time, over all its processes; an account's execution has six at the most.

Together they leave room in the 100 that PostgreSQL accepts by default: no role can take another's.
"""

DEFAULT_CONNECTION_LIMIT: Final = 8


def login_role(service: str) -> str:
    """The role that a service logs in as."""
    return f"leadline_{service}"
