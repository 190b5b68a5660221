"""The plan on one machine: every workload gets an address, its files and its peers."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.live.opening import plan_live
from leadline.ingestion.live.tape import venues_of
from leadline.ingestion.params import FeedFile, IngestionParams
from leadline.ingestion.traded import require_traded_days, require_traded_hours
from leadline.local.data_dir import DataDir, write_private
from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import LocalPostgres
from leadline.local.ports import LOOPBACK, Ports
from leadline.local.sockets import make_private, socket_folder
from leadline.model.ids import ContractId
from leadline.model.manifest.own_markets import in_force
from leadline.model.market.hours import SessionHours
from leadline.model.services import processes
from leadline.model.strict import ServiceParams
from leadline.plan.demand import demand_rows
from leadline.plan.plan import Plan, Workload
from leadline.runtime.clock import wall_ns
from leadline.runtime.settings import ServiceSettings

CATALOG: Final = "the catalog"
"""Among the places of a feed's files that of its catalog."""
_LONGEST_SOCKET_NAME: Final = len("999-.sock") + max(map(len, processes()))


@dataclass(frozen=True, slots=True)
class BoundWorkload:
    """A workload with all that this machine adds: its settings file, its command and its address.

    It answers calls on a socket in a private folder, so that no other user can connect to it or stand in for it.
    """

    workload: Workload
    settings: ServiceSettings
    command: tuple[str, ...]

    @property
    def address(self) -> str:
        """Where it answers calls."""
        return self.settings.listen


def bind(
    plan: Plan,
    data: DataDir,
    nats: LocalNats,
    postgres: LocalPostgres,
    ports: Ports,
    feed_files: Mapping[str, Path],
    launch: str,
    *,
    new_run: bool = False,
) -> tuple[BoundWorkload, ...]:
    """Write the settings of every workload, in the plan's order.

    `nats` and `postgres` are running; `feed_files` says where the files lie that the feed names; `launch` names this
    start of the stack, and `new_run` says that it goes on with no run of an earlier one. Raises LeadlineError when the
    machine has no free ports.
    """
    sockets = service_sockets(data)
    make_private(sockets)
    addresses = {
        workload.id: f"unix:{sockets / f'{number}-{workload.service}.sock'}"
        for number, workload in enumerate(plan.workloads)
    }
    own = in_force()
    instruments_file = data.write_instruments(own.document() if own.digest() else "")
    bound = []
    for workload in plan.workloads:
        settings = ServiceSettings.model_validate(
            {
                "service": workload.service,
                "workload": workload.id,
                "listen": addresses[workload.id],
                "metrics_listen": f"{LOOPBACK}:{ports.take(one_user=True)}",
                "metrics_token_file": data.metrics_token_file,
                "nats": nats.settings(workload.service) if "nats" in workload.secrets else None,
                "database": postgres.settings(workload.service) if "database" in workload.secrets else None,
                "data_dir": data.volume(workload.id),
                "instruments_file": instruments_file,
                "token_key_file": data.token_key_file,
                "peers": {name: addresses[peer] for name, peer in workload.calls.items()},
                "params": _bound_params(workload.settings, feed_files, launch, new_run=new_run).to_json(),
            }
        )
        data.volume(workload.id).mkdir(parents=True, exist_ok=True, mode=0o700)
        file = data.settings_file(workload.id)
        write_private(file, settings.model_dump_json(indent=2).encode())
        bound.append(BoundWorkload(workload, settings, service_command(workload.service, file)))
    return tuple(bound)


def check_feed(plan: Plan, feed_files: Mapping[str, Path]) -> Feed | None:
    """Read the feed of the plan as ingestion will, before anything is started. Files are read whole.

    None for a live one, of which nobody knows what it will have. Raises InvalidInput and Unknown that name what cannot
    be used, or what has no print that a strategy could trade on; OSError for a file that cannot be read.
    """
    params = feed_params(plan, feed_files)
    if params.feed.mode == "live":
        tape = plan_live(params, wall_ns()).opened(None, wall_ns())
        demand_rows(plan, venues_of(tape.contracts), tape.trade_from)
        return None
    feed = open_feed(params)
    require_traded_days(feed, {strategy.spec.instrument for strategy in plan.strategies})
    wanted: dict[ContractId, list[SessionHours]] = {}
    for row in demand_rows(plan, feed.contracts, feed.plan.trade_from):
        if (bars := row.bars) is not None:
            hours = SessionHours(bars.open, bars.close, bars.zone, id=bars.session)
            wanted.setdefault(row.contract, []).append(hours)
    require_traded_hours(feed, wanted)
    return feed


def feed_params(plan: Plan, feed_files: Mapping[str, Path]) -> IngestionParams:
    """The settings of ingestion, with the places of the feed's files."""
    params = _bound_params(plan.workload("ingestion").settings, feed_files, "")
    assert isinstance(params, IngestionParams)
    return params


def service_sockets(data: DataDir) -> Path:
    """The folder of the services' sockets, while a stack runs."""
    return socket_folder(data.root, _LONGEST_SOCKET_NAME)


def service_command(service: str, settings_file: Path) -> tuple[str, ...]:
    """How this interpreter runs a service. `-P`: no file of the current directory stands in for a module."""
    return (sys.executable, "-P", "-m", "leadline.cli.service", service, "--settings", str(settings_file))


def _bound_params(
    params: ServiceParams, feed_files: Mapping[str, Path], launch: str, *, new_run: bool = False
) -> ServiceParams:
    """The parameters of a service; those of a feed with the places of its files and the start that they belong to."""
    if not isinstance(params, IngestionParams):
        return params
    files = tuple(FeedFile(path=feed_files[str(file.path)], contract=file.contract) for file in params.feed.files)
    catalog = feed_files[CATALOG] if params.feed.kind == "catalog" else None
    feed = params.feed.model_copy(update={"files": files, "catalog": catalog})
    return params.model_copy(update={"feed": feed, "launch": launch, "new_run": new_run})
