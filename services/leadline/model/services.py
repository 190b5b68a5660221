"""The table of services, one record for each, from which everything else that names services is derived.

Tokens and the roles that may call a method, users of the bus and their rights, logins of the database, and the plan's
workloads follow from it. Files that are written by hand, as grants and charts are, are held to it by tests. How a
service is added: docs/how-to/add-a-service.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from leadline.model.errors import Unknown
from leadline.model.subjects import BARS, ORDER_KINDS, ORDERS, RUN_SUBJECT, RUNS, SIGNALS, TICKS

Owner = Literal["platform", "account", "strategy"]
Role: TypeAlias = str
"""The role of a token's bearer: one of `roles()`."""

VIEWER: Final = "cli-viewer"
TRADER: Final = "cli-trader"
ADMIN: Final = "cli-admin"
FEED: Final = "feed"
SUPERVISOR: Final = "supervisor"
"""The runner of the platform: `leadline up` on one machine, the operator in a cluster."""

READERS: Final = (VIEWER, TRADER, ADMIN, SUPERVISOR)
TRADERS: Final = (TRADER, ADMIN, SUPERVISOR)
PERSONS: Final = (TRADER, ADMIN)

READ_SLOTS: Final = 8
"""Calls of a method that are answered at a time, where its record names no other number."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service's contract.

    roles: of people, feeds and the supervisor that may call it; a service names in its own record what it calls.
    slots: calls that are answered at a time. per_second: calls a second of all callers together, where the process that
    answers also trades. share: of the process, for all calls together, where the answer has to be computed.
    """

    name: str
    roles: tuple[Role, ...] = ()
    slots: int = READ_SLOTS
    per_second: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """A gRPC service by its full name, and its methods."""

    full_name: str
    methods: tuple[Method, ...]

    def path(self, method: Method) -> str:
        """The method as a call names it."""
        return f"/{self.full_name}/{method.name}"


@dataclass(frozen=True, slots=True)
class BusUse:
    """A service's rights on the bus. `{namespace}` stands for the namespace of its owner, `*` where there is none.

    publishes: patterns of subjects. reads: of a stream the subjects that it may read, `>` for all of them. durables:
    streams of which it has a durable consumer, which bears its name. purges: streams that it may shorten. follows:
    durable consumers, as (stream, service), whose place it may ask for.
    """

    publishes: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    durables: tuple[str, ...] = ()
    purges: tuple[str, ...] = ()
    follows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    name: of the service; it is its role, its user of the bus and its login of the database as well, unless `acts_as`
    names another record, whose they are then. owner: of what there is one: the platform, each account, each strategy.
    package: where its `service.run` is; empty for one that is no process of its own. params: the model of what it is
    told, as `module:name`; None where it is told nothing. contract: what it serves. calls: methods of other services,
    by the service; those are its peers, and it starts after them. inputs, outputs: streams. after: services that must
    serve before it starts. bus: None where it does not use it. connections: to the database, of all its processes
    together; None where it does not use it. volumes: what must survive its process. priority: the class of its Pods,
    by the last word of its name. steady: its callers keep their connection for as long as it lives, so that no call is
    cut. large_requests: it is sent whole batches of prints. planned: the plan has it among its workloads.
    """

    name: str
    owner: Owner = "platform"
    acts_as: str = ""
    package: str = ""
    params: str | None = None
    contract: Contract | None = None
    calls: tuple[tuple[str, tuple[str, ...]], ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    bus: BusUse | None = None
    connections: int | None = None
    volumes: tuple[str, ...] = ()
    priority: str = ""
    steady: bool = False
    large_requests: bool = False
    planned: bool = True

    @property
    def role(self) -> Role:
        """The role that its tokens name."""
        return self.acts_as or self.name

    @property
    def peers(self) -> tuple[str, ...]:
        """The services that it calls."""
        return tuple(service for service, _ in self.calls)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The kinds of secret that it needs."""
        uses = (("nats", self.bus is not None), ("database", self.connections is not None), ("token-key", True))
        return tuple(kind for kind, used in uses if used)


Services: TypeAlias = Sequence[Service]


def _whole(*streams: str) -> tuple[tuple[str, str], ...]:
    return tuple((stream, ">") for stream in streams)


RECORDER: Final = "recorder"

SERVICES: Final[tuple[Service, ...]] = (
    Service(
        "ingestion",
        package="leadline.ingestion",
        params="leadline.ingestion.params:IngestionParams",
        contract=Contract(
            "leadline.ingestion.v1.IngestionService",
            (
                Method("PublishTicks", (FEED, ADMIN), slots=16),
                Method("GetFeedStatus", (*READERS, FEED), slots=32),
            ),
        ),
        outputs=(TICKS, RUNS),
        bus=BusUse(
            publishes=("ll.*.tick.>", RUN_SUBJECT),
            reads=_whole(TICKS, BARS, RUNS),
            purges=(TICKS,),
            follows=((TICKS, RECORDER),),
        ),
        connections=8,
        volumes=("run",),
        priority="data",
        large_requests=True,
    ),
    Service(
        "risk",
        package="leadline.risk",
        contract=Contract(
            "leadline.risk.v1.RiskService",
            (
                # One account asks one thing at a time, and risk serves all accounts.
                Method("Decide", slots=256),
                Method("Evaluate", READERS, slots=4, share=0.005),
            ),
        ),
        priority="risk",
    ),
    Service(
        "aggregation",
        package="leadline.aggregation",
        contract=Contract(
            "leadline.aggregation.v1.AggregationService",
            (
                Method("StreamBars", READERS, slots=16),
                Method("GetBars", READERS, slots=4),
                Method("ListSeries", READERS, slots=4),
            ),
        ),
        inputs=(RUNS, TICKS),
        outputs=(BARS,),
        after=("ingestion",),
        bus=BusUse(publishes=("ll.*.bar.>",), reads=_whole(TICKS, BARS, RUNS)),
        connections=8,
        priority="data",
    ),
    Service(
        "analysis",
        owner="strategy",
        package="leadline.analysis",
        params="leadline.analysis.params:AnalysisParams",
        contract=Contract(
            "leadline.analysis.v1.AnalysisService",
            (Method("StreamSignals", READERS, slots=16), Method("ListDetectors", READERS)),
        ),
        inputs=(RUNS, BARS),
        outputs=(SIGNALS,),
        after=("ingestion",),
        # The account may be of another namespace, which decides for itself whose signals it takes.
        bus=BusUse(
            publishes=("ll.*.signal.*.*.{namespace}.>",),
            reads=(*_whole(BARS, RUNS), (SIGNALS, "ll.*.signal.*.*.{namespace}.>")),
        ),
        priority="strategy",
    ),
    Service(
        "venue",
        owner="account",
        package="leadline.venue",
        params="leadline.venue.params:VenueParams",
        contract=Contract(
            "leadline.venue.v1.PaperVenueService",
            (
                Method("SubmitOrder", slots=16),
                Method("CancelOrder", slots=16),
                Method("ReplaceOrder"),
                Method("AdvanceTo", slots=16),
                Method("ListEvents", slots=16),
                Method("ListOrders", READERS),
                Method("ListFills", READERS, per_second=20),
                Method("ListPositions", READERS),
            ),
        ),
        inputs=(RUNS, TICKS),
        after=("ingestion",),
        bus=BusUse(reads=_whole(TICKS, RUNS)),
        volumes=("ledger",),
        priority="execution",
        # A call that is made while a connection is replaced can fail; an order must not, and a venue has one caller.
        steady=True,
    ),
    Service(
        "execution",
        owner="account",
        package="leadline.execution",
        params="leadline.execution.params:ExecutionParams",
        contract=Contract(
            "leadline.execution.v1.ExecutionService",
            (
                # Which strategies trade, on which analysis and within what: only who runs them may say.
                Method("SetStrategy", (SUPERVISOR,), slots=64),
                Method("Drain", (SUPERVISOR,), slots=64),
                Method("SetAccount", (SUPERVISOR,), slots=16),
                Method("SetLimits", TRADERS, slots=16),
                Method("CancelOrder", TRADERS, slots=32),
                Method("Flatten", TRADERS, slots=32),
                Method("Halt", TRADERS, slots=32),
                # Only a named person clears a halt or a fence, never a machine.
                Method("Resume", PERSONS, slots=16),
                Method("Release", PERSONS, slots=16),
                # The supervisor and the operator ask it as well.
                Method("GetState", READERS, slots=32),
                Method("GetOrders", READERS, slots=4, per_second=20),
                Method("GetPositions", READERS),
                Method("StreamOrderEvents", READERS, slots=32),
            ),
        ),
        calls=(
            ("risk", ("Decide", "Evaluate")),
            (
                "venue",
                (
                    "SubmitOrder",
                    "CancelOrder",
                    "ReplaceOrder",
                    "AdvanceTo",
                    "ListEvents",
                    "ListOrders",
                    "ListFills",
                    "ListPositions",
                ),
            ),
        ),
        inputs=(RUNS, SIGNALS),
        outputs=(ORDERS,),
        after=("ingestion",),
        bus=BusUse(
            publishes=tuple(f"ll.*.{kind}.{{namespace}}.>" for kind in ORDER_KINDS),
            reads=(
                *_whole(TICKS, RUNS),
                (SIGNALS, "ll.*.signal.{namespace}.>"),
                (ORDERS, "ll.*.*.{namespace}.>"),
            ),
        ),
        # An account's execution has six at the most.
        connections=50,
        volumes=("journal",),
        priority="execution",
    ),
    Service(
        RECORDER,
        package="leadline.recorder",
        inputs=(TICKS, BARS, SIGNALS),
        after=("ingestion",),
        bus=BusUse(reads=_whole(TICKS, BARS, SIGNALS, ORDERS, RUNS), durables=(TICKS, BARS, SIGNALS)),
        connections=8,
        priority="data",
    ),
    # What the methods of others say of the supervisor's role is the operator's right as well.
    Service(
        "operator",
        acts_as=SUPERVISOR,
        package="leadline_operator",
        params="leadline_operator.params:OperatorParams",
        connections=10,
        priority="risk",
        planned=False,
    ),
    # `leadline up` on one machine: no process of the plan's, but a user of the bus and the database.
    Service(SUPERVISOR, bus=BusUse(reads=_whole(TICKS, BARS, SIGNALS, ORDERS, RUNS)), connections=10, planned=False),
)
"""Every service, in the order in which tables show them."""


def processes(services: Services = SERVICES) -> tuple[str, ...]:
    """The services that are processes of their own, by their names."""
    return tuple(each.name for each in services if each.package)


def service_of(name: str, services: Services = SERVICES) -> Service:
    """The record of a service. Raises Unknown."""
    for each in services:
        if each.name == name:
            return each
    raise Unknown("service", name, tuple(each.name for each in services))


def roles(services: Services = SERVICES) -> tuple[Role, ...]:
    """Every role that a token may name."""
    return tuple(dict.fromkeys((*READERS, *(each.role for each in services), FEED)))


def method_roles(services: Services = SERVICES) -> dict[str, tuple[Role, ...]]:
    """Every method of every contract, and the roles that may call it.

    Raises Unknown for a service that calls what no contract has.
    """
    callers: dict[str, list[Role]] = {}
    for each in services:
        for name, methods in each.calls:
            contract = service_of(name, services).contract
            known = {} if contract is None else {method.name: contract.path(method) for method in contract.methods}
            for method in methods:
                if method not in known:
                    raise Unknown(f"method of {name}", method, tuple(known))
                callers.setdefault(known[method], []).append(each.role)
    found = {path: (*method.roles, *callers.get(path, ())) for path, method in methods_of(services).items()}
    return {path: tuple(dict.fromkeys(named)) for path, named in found.items()}


def methods_of(services: Services = SERVICES) -> dict[str, Method]:
    """Every method of every contract, by the path that a call names."""
    contracts = [each.contract for each in services if each.contract is not None]
    return {contract.path(method): method for contract in contracts for method in contract.methods}


def planned(owner: Owner, services: Services = SERVICES) -> tuple[Service, ...]:
    """The services of which the plan has one for such an owner."""
    return tuple(each for each in services if each.planned and each.owner == owner)


def traders_services(services: Services = SERVICES) -> tuple[str, ...]:
    """The services of which every trader's namespace has its own."""
    return tuple(each.name for each in services if each.owner != "platform")


def bus_services(services: Services = SERVICES) -> tuple[str, ...]:
    """The services that use the bus."""
    return tuple(each.name for each in services if each.bus is not None)


def database_logins(services: Services = SERVICES) -> dict[str, int]:
    """The services' logins of the database, and the connections that each may have, over all its processes."""
    found: dict[str, int] = {}
    for each in services:
        if each.connections is not None:
            found[each.role] = max(each.connections, found.get(each.role, 0))
    return found


def durable_readers(services: Services = SERVICES) -> dict[str, tuple[str, ...]]:
    """The durable consumers of each stream that has some; they bear the names of the services that read them."""
    found: dict[str, tuple[str, ...]] = {}
    for each in services:
        for stream in each.bus.durables if each.bus is not None else ():
            found[stream] = (*found.get(stream, ()), each.name)
    return found
