"""The servers that one machine needs: a NATS and a PostgreSQL, each a real one and private to its directory."""

from leadline.plan.local_nats import LocalNats
from leadline.plan.local_postgres import LocalPostgres
from leadline.plan.server_process import ServerFailed

__all__ = ["LocalNats", "LocalPostgres", "ServerFailed"]
