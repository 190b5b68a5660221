"""Settings of a service: one JSON file, in which secrets are only named by the files that hold them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.model.services import processes
from leadline.model.strict import ServiceParams, StrictModel

_LARGEST_SECRET_BYTES: Final = 64 * 1024

_Model = TypeVar("_Model", bound=BaseModel)
_Params = TypeVar("_Params", bound=ServiceParams)
_BUS_URL: Final = r"(nats|tls)://([^\s/@]*@)?([^\s/:@\[\]]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?"
_HOST_PORT: Final = r"[^\s:]*:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}"
Address = Annotated[str, Field(pattern=rf"^{_HOST_PORT}$")]
CallAddress = Annotated[str, Field(pattern=rf"^{_HOST_PORT}$|^unix:/[^\x00]+$")]


class NatsSettings(StrictModel):
    """How to reach the bus.

    `user` is also the prefix of the inboxes that the server lets this service listen on (`_INBOX_<user>.>`). With
    `only_mine` the server must be a process of this user on this machine, else no password is shown to it.
    """

    servers: tuple[str, ...] = Field(min_length=1)
    user: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    password_file: Path
    ca_file: Path | None = None
    only_mine: bool = False

    @field_validator("servers")
    @classmethod
    def _urls(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            if not re.fullmatch(_BUS_URL, server):
                raise ValueError(f"expected URLs such as nats://host:4222, and not {server.rpartition('@')[2]!r}")
        return servers


class DatabaseSettings(StrictModel):
    """How to reach PostgreSQL. `url` carries no password; `postgresql:///name?host=/socket/dir&user=...` is local."""

    url: str
    password_file: Path
    pool_size: int = Field(default=4, ge=1, le=50)

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("expected a URL that begins with postgresql://")
        authority = url.split("://", 1)[1].split("/", 1)[0]
        if (":" in authority.rpartition("@")[0]) or "password=" in url:
            raise ValueError("the password belongs into password_file")
        return url


class TlsSettings(StrictModel):
    """Certificates of the calls between services: this service's own, and the authority that signed the others'.

    Renewed ones count within seconds, for new connections; they are read as one when they belong together.
    """

    certificate_file: Path
    key_file: Path
    ca_file: Path


class ConnectionAge(StrictModel):
    """When the server asks a client for a new connection, so that clients find the copies of a service that are new.

    What is under way on the old connection may go on for `grace_seconds`; a stream that lasts longer is cut.
    """

    seconds: int = Field(ge=1)
    grace_seconds: int = Field(default=30, ge=1)


class ServiceSettings(StrictModel):
    """Everything that one service process is told.

    `workload` is the stable id in the plan; `listen`, `metrics_listen` and `health_listen` are `host:port`, port 0
    picks a free one; `listen` and `peers` may be sockets, `unix:/path`. Metrics are for those who show the token of
    `metrics_token_file`, for everybody where there is none. `health_listen` answers probes alone, without TLS; the main
    port answers them too. `instruments_file` has the instruments that stand beside the package's sheet, or is a folder
    whose `*.yaml` have them. `peers` names
    the addresses of the services that it calls; calls are signed with the peer's own key from `peer_key_files`, with
    `token_key_file` where none is named. `code_version` replaces the package's own where the code of the strategy is
    not this package's. `params` belongs to the service, which validates it.
    """

    service: str
    workload: str = Field(min_length=1)
    listen: CallAddress
    metrics_listen: Address
    metrics_token_file: Path | None = None
    health_listen: Address | None = None
    connection_age: ConnectionAge | None = None
    code_version: str | None = Field(default=None, min_length=1, max_length=300)
    nats: NatsSettings | None = None
    database: DatabaseSettings | None = None
    data_dir: Path
    instruments_file: Path | None = None
    token_key_file: Path
    tls: TlsSettings | None = None
    peers: dict[str, CallAddress] = Field(default_factory=dict)
    peer_key_files: dict[str, Path] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)

    @field_validator("service")
    @classmethod
    def _known(cls, service: str) -> str:
        if service not in (known := processes()):
            raise ValueError(f"expected one of {', '.join(known)}")
        return service

    @model_validator(mode="after")
    def _keys_of_peers(self) -> Self:
        if strangers := sorted(set(self.peer_key_files) - set(self.peers)):
            raise ValueError(f"peer_key_files names what peers does not: {', '.join(strangers)}")
        return self


def load_settings(path: Path) -> ServiceSettings:
    """Read and validate a settings file.

    Raises InvalidInput that names the first wrong field; OSError when the file cannot be read.
    """
    return validate(ServiceSettings, path.read_bytes(), str(path))


def validate(model: type[_Model], text: bytes, source: str) -> _Model:
    """JSON text as `model`. Raises InvalidInput with `source` and the path of the first wrong field."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise refusal(error, source) from None


def validate_params(model: type[_Params], params: Mapping[str, Any]) -> _Params:
    """A service's `params` as its own model. Raises InvalidInput with the path of the first wrong field."""
    # As JSON, which they are: what models say of texts and numbers holds for what was written.
    return validate(model, json.dumps(params).encode(), "params")


def read_secret(path: Path) -> str:
    """The content of a secret's file without the line's end. Raises InvalidInput when it is no text or too long."""
    data = path.read_bytes()
    secret = data.decode(errors="replace").strip("\r\n")
    if not secret or len(data) > _LARGEST_SECRET_BYTES or "\ufffd" in secret:
        raise InvalidInput(
            str(path), counted(len(data), "byte"), f"a secret of 1 to {_LARGEST_SECRET_BYTES} bytes of UTF-8"
        )
    return secret


def refusal(error: ValidationError, source: str) -> InvalidInput:
    """The error about settings from `source`: the first wrong field. The other fields are not shown."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    where = f"{source}: {field}" if field else source
    match first["type"]:
        case "json_invalid":
            return InvalidInput(where, counted(len(first["input"]), "byte"), f"JSON ({first['ctx']['error']})")
        case "missing":
            return InvalidInput(where, None, "a value: this field is required")
        case "value_error":
            expected = str(first["ctx"]["error"]).removeprefix("expected ")
        case _:
            expected = first["msg"]
    # What was found in the place of a URL may hold a password.
    return InvalidInput(where, "(not shown)" if field.endswith(("url", "servers")) else first["input"], expected)
