"""Parts of the reference that follow from the platform: commands, calls, settings, streams, tables, metrics."""

import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import typer.main
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from leadline.cli.main import app
from leadline.ingestion.params import FeedFile, FeedParams
from leadline.model.services import SERVICES
from leadline.runtime.main import params_model
from leadline.runtime.rpc.auth import METHOD_ROLES, OPEN_METHODS
from leadline.runtime.settings import DatabaseSettings, NatsSettings, ServiceSettings, TlsSettings
from leadline.schema.migrate import package_migrations
from leadline.schema.permissions import DURABLES, USERS, bus_permissions
from leadline.schema.streams import stream_definitions
from leadline.views.digest import FIELDS, KINDS
from scripts._markdown import code, codes, table

ROOT: Final = Path(__file__).resolve().parent.parent
PROTO: Final = ROOT / "proto"

_DAY_SECONDS: Final = 86_400


def commands() -> str:
    """Every command with its options."""
    root: Any = typer.main.get_command(app)
    return "\n" + "".join(_command(f"leadline {name}", command) for name, command in root.commands.items())


def _command(name: str, command: Any) -> str:
    if hasattr(command, "commands"):
        # A group may be a command itself, where none of its own is named.
        own = _described(name, command) if command.invoke_without_command else ""
        return own + "".join(_command(f"{name} {inner}", found) for inner, found in command.commands.items())
    return _described(name, command)


def _described(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    shown = "".join(f" {argument.name.upper()}" for argument in arguments)
    parts = [f"### {name}{shown}\n\n{' '.join((command.help or '').split())}\n"]
    rows = [
        (code(", ".join(parameter.opts)), _option_default(parameter), parameter.help or "") for parameter in options
    ]
    if rows:
        parts.append(table(("option", "default", "meaning"), rows).rstrip("\n") + "\n")
    parts += [f"\n{code(argument.name.upper())}: {argument.help}\n" for argument in arguments]
    example = (command.epilog or "").removeprefix("Example: ")
    return "".join(parts) + (f"\n```\n{example}\n```\n\n" if example else "\n")


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.is_flag:
        return "off" if not parameter.default else "on"
    return "none" if parameter.default in (None, "") else code(getattr(parameter.default, "value", parameter.default))


_RPC: Final = re.compile(r"((?:  //[^\n]*\n)+)  rpc (\w+)\((stream )?\w+\) returns \((stream )?\w+\);")


def calls() -> str:
    """Every method with what it does and who may call it."""
    parts = []
    for path in sorted(PROTO.rglob("*.proto")):
        text = path.read_text(encoding="utf-8")
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        service = re.search(r"^service (\w+)", text, re.MULTILINE)
        if package is None or service is None:
            continue
        full_name = f"{package[1]}.{service[1]}"
        rows = [
            (
                code(method),
                " ".join(words for words, there in (("client streams", asks), ("server streams", answers)) if there)
                or "one answer",
                " ".join(line.strip().removeprefix("// ") for line in comment.splitlines()),
                codes(METHOD_ROLES[f"/{full_name}/{method}"]),
            )
            for comment, method, asks, answers in _RPC.findall(text)
        ]
        parts.append(f"### {full_name}\n" + table(("method", "kind", "what it does", "roles"), rows))
    return "\n" + "".join(parts)


def other_calls() -> str:
    """Methods that belong to no contract of ours."""
    rows = [(code(method), "anybody, without a token") for method in sorted(OPEN_METHODS)]
    rows += [
        (code(method), codes(roles)) for method, roles in METHOD_ROLES.items() if not method.startswith("/leadline.")
    ]
    return table(("method", "roles"), rows)


def settings_rows() -> str:
    """The settings file of a service process."""
    sections: Mapping[str, tuple[type[BaseModel], str]] = {
        "The file": (ServiceSettings, ""),
        "The bus": (NatsSettings, "nats."),
        "The database": (DatabaseSettings, "database."),
        "Certificates": (TlsSettings, "tls."),
    }
    return "\n" + "".join(f"### {title}\n{_model(model, prefix)}" for title, (model, prefix) in sections.items())


def params_rows() -> str:
    """What `params` holds, by service."""
    # What a model holds of others, where that is told here and not with the manifests.
    parts: Mapping[str, tuple[tuple[type[BaseModel], str], ...]] = {
        "ingestion": ((FeedParams, "feed."), (FeedFile, "feed.files[]."))
    }
    told = [each.name for each in SERVICES if each.planned and each.params is not None]
    models = {service: ((params_model(service), ""), *parts.get(service, ())) for service in told}
    return "\n" + "".join(
        f"### {service}\n" + "".join(_model(model, prefix) for model, prefix in found)
        for service, found in models.items()
    )


def _model(model: type[BaseModel], prefix: str) -> str:
    """What a model says of itself, and its fields with their defaults."""
    words = " ".join(inspect.cleandoc(model.__doc__ or "").split())
    rows = []
    for name, field in model.model_fields.items():
        default = "**required**"
        if not field.is_required():
            value = field.default
            default = "none" if field.default_factory or value in (None, (), "") else code(value)
        rows.append((code(prefix + name), default))
    return f"\n{words}\n" + table(("field", "default"), rows)


def streams() -> str:
    """The streams as `leadline bus migrate` makes them."""
    rows = []
    for replay, live in zip(stream_definitions("replay"), stream_definitions("live"), strict=True):
        full = "refuses the newest" if replay.refuse_when_full else "drops the oldest"
        size = "any size" if replay.max_bytes < 0 else f"{replay.max_bytes >> 20:,} MiB; when full {full}"
        kept = "the last message" if replay.last_only else _age(replay.max_age_seconds)
        if replay != live:
            full = "refuses the newest" if live.refuse_when_full else "drops the oldest"
            kept += f" (live: {_age(live.max_age_seconds)}, {full})"
        durable = codes(DURABLES.get(replay.name, ()))
        notes = "nothing is deleted or purged" if replay.append_only else ""
        rows.append((code(replay.name), codes(replay.subjects), kept, size, durable, notes))
    return table(("stream", "subjects", "kept", "bound", "durable consumers", "notes"), rows)


def _age(seconds: int) -> str:
    return f"{seconds // _DAY_SECONDS} days" if seconds else "without end"


def bus_users() -> str:
    """What each user of the bus may publish; the calls of JetStream's own interface left out."""
    rows = []
    for user in USERS:
        allowed = bus_permissions(user)
        facts = [subject for subject in allowed.publish if subject.startswith("ll.")]
        reads = [s.rpartition(".")[2] for s in allowed.publish if s.startswith("$JS.API.STREAM.INFO.")]
        rows.append((code(user), codes(facts) or "nothing", codes(reads) or "nothing"))
    return table(("user", "may publish", "may read"), rows)


_TABLE: Final = re.compile(
    r"((?:^--[^\n]*\n)*)^CREATE TABLE (\w+) \(\n(.*?)^\)( PARTITION BY [^;\n]*)?;", re.MULTILINE | re.DOTALL
)
_ADDED: Final = re.compile(r"((?:^--[^\n]*\n)*)^ALTER TABLE (\w+)\n((?:\s+ADD COLUMN [^;]*?)+);", re.MULTILINE)
_GRANT: Final = re.compile(r"^GRANT ([A-Z, ]+?) ON (\w[\w, \n]*?)\s+TO ([\w, \n]+?);", re.MULTILINE)


def digest_fields() -> str:
    """What each kind of line of the digest holds, in the order of the kinds."""
    return table(("line", "fields"), [(code(kind), ", ".join(map(code, FIELDS[kind]))) for kind in KINDS])


def database_tables() -> str:
    """Every table with its columns, its key and who writes it."""
    writers = _writers()
    parts = []
    added = {
        name: (comment, body.replace("ADD COLUMN", ""))
        for migration in package_migrations()
        for comment, name, body in _ADDED.findall(migration.sql)
    }
    for migration in package_migrations():
        for first_comment, name, first_body, parts_by in _TABLE.findall(migration.sql):
            later_comment, later_body = added.get(name, ("", ""))
            comment, body = first_comment + later_comment, f"{first_body}\n{later_body}"
            words = " ".join(line.removeprefix("--").strip() for line in comment.splitlines())
            lines = [line.strip().rstrip(",") for line in body.splitlines() if not line.strip().startswith("--")]
            columns = [line.split(None, 1) for line in lines if line and line.split()[0].islower()]
            others = [line for line in lines if line and not line.split()[0].islower()]
            inline = [first for first, rest in columns if "PRIMARY KEY" in rest]
            keys = [f"PRIMARY KEY ({', '.join(inline)})"] if inline else []
            keys += [line for line in others if not line.startswith("CHECK")]
            keys += [parts_by.strip()] if parts_by else []
            written = writers.get(name, ["no service"])
            parts.append(
                f"### {name}\n\n"
                + (f"{words}\n\n" if words else "")
                + f"Written by {' and '.join(written)}. {'; '.join(map(code, keys))}\n"
                + table(("column", "type"), [(code(first), _column_type(rest)) for first, rest in columns])
            )
    return "\n" + "".join(parts)


def _column_type(definition: str) -> str:
    """A column's type and defaults; that it may be null is the exception, and said."""
    words = " ".join(definition.split()).replace(" PRIMARY KEY", " NOT NULL")
    if "NOT NULL" in words or "GENERATED" in words:
        return words.replace(" NOT NULL", "")
    return f"{words}, may be null"


def _writers() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for migration in package_migrations():
        for rights, tables, roles in _GRANT.findall(migration.sql):
            if "INSERT" not in rights:
                continue
            for name in re.findall(r"\w+", tables):
                found.setdefault(name, []).extend(role.removeprefix("leadline_") for role in re.findall(r"\w+", roles))
    return found


def metrics() -> str:
    """Every metric by the service that serves it."""
    package = ROOT / "services" / "leadline"
    modules = ["leadline.runtime.measurements"]
    found = sorted(path.relative_to(package.parent).with_suffix("") for path in package.rglob("metrics.py"))
    modules += [".".join(path.parts) for path in found]
    parts = []
    for name in modules:
        room = name.split(".")[1]
        rows = metric_rows(import_module(name))
        title = "Every service" if room == "runtime" else room
        parts.append(f"### {title}\n" + table(("metric", "kind", "labels", "meaning"), rows))
    return "\n" + "".join(parts)


def metric_rows(module: ModuleType) -> list[tuple[str, str, str, str]]:
    """The metrics that a module declares: name, kind, labels, meaning."""
    return [
        _metric_row(metric)
        for metric in {id(value): value for value in vars(module).values() if _is_family(value)}.values()
    ]


def _is_family(value: object) -> bool:
    # A metric bound to label values has no labels of its own to give away; only what declares them is listed.
    return isinstance(value, MetricWrapperBase) and not value._labelvalues  # noqa: SLF001 - the library tells it nowhere else


def _metric_row(metric: MetricWrapperBase) -> tuple[str, str, str, str]:
    [described] = metric.describe()
    name = described.name + ("_total" if described.type == "counter" else "")
    labels = codes(metric._labelnames)  # noqa: SLF001 - as above
    return code(name), described.type, labels, described.documentation.rstrip(".")
