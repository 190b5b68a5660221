"""From the platform's settings and the manifests to the workloads that carry them out.

One pure function. What runs the plan (processes on one machine, Deployments in a cluster) decides addresses, paths and
the tape; nothing of that stands here.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain, combinations
from typing import Any, Final

from leadline.analysis.params import AnalysisParams
from leadline.execution.core.contracts import execution_symbols
from leadline.execution.params import ExecutionParams
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.ingestion.runs import traded_days
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import AccountId, OwnerId, StrategyId, account_id, derive, namespaced_name
from leadline.model.manifest.specs import (
    InvalidManifest,
    Manifest,
    StrategySpec,
    TradingAccount,
    TradingStrategy,
    calendar_of_spec,
    check_strategy_on_account,
    day_problem,
    default_account,
    first_of,
    rollout_fields,
    signal_instrument,
)
from leadline.model.manifest.strategy_spec import PAPER_ACCOUNT
from leadline.model.manifest.venues import venue_named, venues
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import (
    Contract,
    dated,
    instrument_of,
    last_trading_day,
    lead_begins,
    resolve_contract,
    rolls_by_rule,
)
from leadline.model.services import Owner, planned, service_of
from leadline.model.strict import NoParams, ServiceParams
from leadline.plan.platform import Feed, PlatformSettings
from leadline.plan.sizes import entry_sizes

JsonObject = dict[str, Any]

PLATFORM: Final[OwnerId] = StrategyId("")
"""The owner of the workloads of which the platform has one each."""

# A StatefulSet's Pods bear a label of its name and eleven characters more, and a label has 63 at most.
_NAME_LENGTH: Final = 52
_HASH_LENGTH: Final = 8
_SMALL: Final = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "384Mi"}}


@dataclass(frozen=True, slots=True)
class Workload:
    """One service to run.

    `id` is stable and a DNS label. `owner_name` is the `namespace/name` of the owning account or strategy, empty for
    the platform. `settings` are of the service's own model. `inputs` and `outputs` name streams; `calls` maps
    the names under which the service knows its peers to workload ids. `secrets` are kinds of secret that it needs:
    `nats`, `database`, `token-key`. `resources` as Kubernetes writes them. `after` are the ids of workloads that must
    serve before it does; those that it calls it waits for by itself.
    """

    id: str
    owner: Owner
    owner_name: OwnerId
    service: str
    settings: ServiceParams = field(hash=False)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    calls: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: tuple[str, ...] = ("grpc", "metrics")
    volumes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ("nats", "token-key")
    resources: JsonObject = field(default_factory=lambda: dict(_SMALL), hash=False)
    replicas: int = 1
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: every workload after those that it waits for, and the complete manifests behind it, by name."""

    workloads: tuple[Workload, ...]
    accounts: tuple[TradingAccount, ...]
    strategies: tuple[TradingStrategy, ...]

    @property
    def live(self) -> bool:
        """Whether it runs on the tape `live`."""
        params = self.workload("ingestion").settings
        return isinstance(params, IngestionParams) and params.feed.mode == "live"

    def workload(self, service: str, owner_name: OwnerId = PLATFORM) -> Workload:
        """The workload of a service and owner; LookupError when the plan has none."""
        for found in self.workloads:
            if (found.service, found.owner_name) == (service, owner_name):
                return found
        raise LookupError(f"the plan has no {service} of {owner_name or 'the platform'}")


def plan(platform: PlatformSettings, accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> Plan:
    """The workloads of a platform with these accounts and strategies. An account may have no strategy yet.

    A strategy that trades its namespace's account `paper` gets that account with the defaults where no manifest gives
    it. Raises InvalidManifest with everything that is wrong: a name twice, an account that does not exist, a strategy
    that does not fit its account, two strategies of one account that would trade one contract or have trading days that
    begin at different times, an instrument that the feed does not have, a contract that expires before the last day
    that the feed is known to have.
    """
    given = {account.full_name: account for account in accounts}
    complete = dict(given)
    for strategy in strategies:
        if strategy.account_name not in given and strategy.account_name == account_id(
            strategy.metadata.namespace, PAPER_ACCOUNT
        ):
            complete[strategy.account_name] = default_account(strategy.metadata.namespace)
    problems = first_of(
        chain(
            _repeated(accounts),
            _repeated(strategies),
            _misfits(strategies, complete),
            _rivals(strategies, complete),
            _of_another_day(strategies, complete),
            _unknown_files(platform),
        ),
        "TradingStrategy objects",
    )
    if not problems:
        problems += _beyond_calendars(strategies)
        problems += _not_fed(platform, strategies)
    if not problems and platform.trade_from is not None:
        problems += expired(platform.feed, platform.trade_from, strategies)
    if problems:
        raise InvalidManifest(problems)
    ordered_accounts = tuple(complete[name] for name in sorted(complete))
    ordered_strategies = tuple(sorted(strategies, key=lambda strategy: strategy.full_name))
    workloads = (
        *_workloads("platform", {"ingestion": _ingestion_params(platform, complete, ordered_strategies)}),
        *(workload for account in ordered_accounts for workload in _account_workloads(account)),
        *(workload for strategy in ordered_strategies for workload in _strategy_workloads(strategy)),
    )
    assert len({workload.id for workload in workloads}) == len(workloads)
    return Plan(_in_start_order(workloads), ordered_accounts, ordered_strategies)


def plan_document(plan: Plan) -> JsonObject:
    """A plan as plain JSON values, for people and for comparison."""
    return {
        "workloads": [{**asdict(each), "settings": each.settings.to_json()} for each in plan.workloads],
        "accounts": [account.to_manifest() for account in plan.accounts],
        "strategies": [strategy.to_manifest() for strategy in plan.strategies],
        "sizes": [
            {**asdict(size), **{name: _text(getattr(size, name)) for name in ("start", "equity", "risk")}}
            for size in entry_sizes(plan.accounts, plan.strategies)
        ],
    }


def _text(money: Decimal | None) -> str | None:
    return None if money is None else str(money)


def workload_id(service: str, owner: OwnerId = PLATFORM) -> str:
    """The id of a service's workload: a DNS label that follows from the owner's `namespace/name` alone.

    A namespace with a dash could be read in two ways, and long names do not fit: then a short hash makes it unique.
    """
    if not owner:
        return service
    namespace, name = namespaced_name(owner)
    plain = f"{service}-{namespace}-{name}"
    if "-" not in namespace and len(plain) <= _NAME_LENGTH:
        return plain
    return f"{plain[: _NAME_LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{derive(service, owner)[:_HASH_LENGTH]}"


def _workloads(
    owner: Owner,
    params: Mapping[str, ServiceParams],
    owner_name: OwnerId = PLATFORM,
    resources: JsonObject | None = None,
    without: AbstractSet[str] = frozenset(),
) -> Iterator[Workload]:
    """The workloads of one owner, from the table of services. `params` by service; the others have no settings.

    `without`: services that this owner has not.
    """

    def id_of(service: str) -> str:
        return workload_id(service, PLATFORM if service_of(service).owner == "platform" else owner_name)

    for record in planned(owner):
        if record.name in without:
            continue
        calls = {peer: id_of(peer) for peer in record.peers if peer not in without}
        yield Workload(
            id=id_of(record.name),
            owner=owner,
            owner_name=owner_name,
            service=record.name,
            settings=params.get(record.name, NoParams()),
            inputs=record.inputs,
            outputs=record.outputs,
            calls=calls,
            volumes=record.volumes,
            secrets=record.secrets,
            resources=resources or dict(_SMALL),
            after=(*(id_of(other) for other in record.after if other not in without), *calls.values()),
        )


def _ingestion_params(
    platform: PlatformSettings, accounts: Mapping[AccountId, TradingAccount], strategies: Sequence[TradingStrategy]
) -> IngestionParams:
    """Its files are named by their names: where they lie is for the one who runs the plan to know.

    Only a catalog may have prints of what accounts execute beside the instruments, and nobody say so.
    """
    files = [{"path": file.name, "contract": file.contract} for file in platform.feed.files]
    params = IngestionParams(
        feed=FeedParams.model_validate({**platform.feed.model_dump(), "files": files}),
        instruments=_signal_symbols(strategies),
        trade_from=platform.trade_from,
        history=max((strategy.spec.longest_history for strategy in strategies), default=0),
        speed=platform.speed,
        wait_for=len(strategies),
    )
    executed = {each for one in strategies for each in execution_symbols(one, accounts[one.account_name])}
    beside = tuple(sorted(executed.difference(params.instruments)))
    return params.model_copy(update={"beside": beside} if beside and platform.feed.kind == "catalog" else {})


def _signal_symbols(strategies: Sequence[TradingStrategy]) -> tuple[str, ...]:
    """The instruments that a simulated or pushed feed must carry: each signal instrument once."""
    return tuple(sorted({strategy.spec.instrument for strategy in strategies}))


def _account_workloads(account: TradingAccount) -> Iterator[Workload]:
    name, venue = account.full_name, venue_named(account.spec.venue)
    params = {
        **venue.settings(name, venue.section_of(account.spec)),
        "execution": ExecutionParams(account=name, manifest=account),
    }
    others = {service for other in venues() for service in other.processes}.difference(venue.processes)
    return _workloads("account", params, name, without=others)


def _strategy_workloads(strategy: TradingStrategy) -> Iterator[Workload]:
    name = strategy.full_name
    told = StrategySpec.from_manifest(rollout_fields(strategy))
    params = {"analysis": AnalysisParams(account=strategy.account_name, strategy=name, spec=told)}
    return _workloads("strategy", params, name, strategy.spec.resources)


def _in_start_order(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """Each after those that it waits for, otherwise as given."""
    waiting, started, found = list(workloads), set[str](), list[Workload]()
    while waiting:
        ready = next(workload for workload in waiting if started.issuperset(workload.after))
        waiting.remove(ready)
        started.add(ready.id)
        found.append(ready)
    return tuple(found)


def _repeated(manifests: Sequence[Manifest]) -> Iterator[InvalidInput]:
    names = [manifest.full_name for manifest in manifests]
    for position, manifest in enumerate(manifests):
        if manifest.full_name in names[:position]:
            expected = f"a name that no other {manifest.kind} has"
            yield InvalidInput("metadata.name", manifest.full_name, expected)


def _misfits(
    strategies: Sequence[TradingStrategy], accounts: Mapping[AccountId, TradingAccount]
) -> Iterator[InvalidInput]:
    for strategy in strategies:
        account = accounts.get(strategy.account_name)
        if account is None:
            expected = (
                f"the name of a TradingAccount in the manifests: {', '.join(sorted(accounts)) or 'there is none'}"
            )
            yield InvalidInput(f"TradingStrategy {strategy.full_name}: spec.account", strategy.account_name, expected)
            continue
        try:
            check_strategy_on_account(strategy, account)
        except InvalidManifest as refusal:
            yield from refusal.problems


def _rivals(
    strategies: Sequence[TradingStrategy], accounts: Mapping[AccountId, TradingAccount]
) -> Iterator[InvalidInput]:
    """Two strategies whose orders would meet in one contract of one account: its position would have two owners."""
    for first, second in combinations(strategies, 2):
        account = accounts.get(first.account_name)
        if account is None or second.account_name != first.account_name or first.full_name == second.full_name:
            continue
        if trade_one_contract(first, second, account):
            yield InvalidInput(
                f"TradingStrategy {second.full_name}: spec.instrument",
                second.spec.instrument,
                f"another contract, or another account: {first.full_name} trades it on {account.full_name}",
            )


def _of_another_day(
    strategies: Sequence[TradingStrategy], accounts: Mapping[AccountId, TradingAccount]
) -> Iterator[InvalidInput]:
    """Strategies whose trading day begins at another time than that of an earlier one on their account."""
    first: dict[str, TradingStrategy] = {}
    for strategy in strategies:
        if strategy.account_name not in accounts:
            continue
        other = first.setdefault(strategy.account_name, strategy)
        days = calendar_of_spec(other.spec)
        problem = day_problem(strategy, days, f"{other.full_name} on {strategy.account_name}")
        if problem is not None:
            where = f"TradingStrategy {strategy.full_name}: {problem.field}"
            yield InvalidInput(where, problem.value, problem.expected)


def trade_one_contract(first: TradingStrategy, second: TradingStrategy, account: TradingAccount) -> bool:
    """Whether two strategies of an account could come to trade the same contract. Raises Unknown as the sheet."""
    one, other = signal_instrument(first.spec), signal_instrument(second.spec)
    # Tiers choose among the instruments of an underlying, so that MES and ES can both end up in ES.
    if one.root != other.root and not (account.spec.tiers and one.underlying == other.underlying):
        return False
    months = [spec.instrument.removeprefix(own.root) for spec, own in ((first.spec, one), (second.spec, other))]
    return not all(months) or months[0] == months[1]


def _unknown_files(platform: PlatformSettings) -> Iterator[InvalidInput]:
    for file in platform.feed.files:
        where, month = f"feed.files: {file.name}", dated(file.contract)
        try:
            own = instrument_of(file.contract)
        except Unknown as unknown:
            yield InvalidInput(where, file.contract, f"a contract of {', '.join(unknown.known)}{unknown.hint}")
            continue
        if month is None or not rolls_by_rule(month.root):
            continue
        if expected := _unknown_lead(month, own.calendar):
            yield InvalidInput(where, file.contract, expected)


def _beyond_calendars(strategies: Sequence[TradingStrategy]) -> Iterator[InvalidInput]:
    """Strategies on a dated contract of which nobody knows when it leads: its calendar ends before that."""
    for strategy in strategies:
        symbol = strategy.spec.instrument
        if rolls_by_rule(symbol):
            continue
        month, own = dated(symbol), signal_instrument(strategy.spec)
        if month is not None and rolls_by_rule(month.root) and (expected := _unknown_lead(month, own.calendar)):
            yield InvalidInput(f"TradingStrategy {strategy.full_name}: spec.instrument", symbol, expected)


def _unknown_lead(month: Contract, days: str) -> str:
    """Which contracts could be meant where this one leads on no day that its calendar knows; else empty."""
    try:
        calendar(days).market(lead_begins(month))
    except Unknown as unknown:
        return f"a contract that leads on a day of the calendar {days}: {', '.join(unknown.known)}"
    return ""


def _not_fed(platform: PlatformSettings, strategies: Sequence[TradingStrategy]) -> Iterator[InvalidInput]:
    """Strategies whose instrument no file of the feed holds; other feeds carry what is asked of them."""
    if platform.feed.kind != "file":
        return
    contracts = sorted({file.contract for file in platform.feed.files})
    for strategy in strategies:
        wanted = strategy.spec.instrument
        if not any(_holds(contract, wanted) for contract in contracts):
            where = f"TradingStrategy {strategy.full_name}: spec.instrument"
            yield InvalidInput(where, wanted, f"a contract that the feed has: {', '.join(contracts)}")


def expired(feed: Feed, day: date, strategies: Sequence[TradingStrategy]) -> Iterator[InvalidInput]:
    """Dated contracts that have expired on the first day that is traded, or do so within a simulated feed."""
    for strategy in strategies:
        symbol = strategy.spec.instrument
        if rolls_by_rule(symbol):
            continue
        contract = resolve_contract(symbol, day)
        last = last_trading_day(contract)
        days = [day]
        if feed.kind == "sim" and feed.mode == "replay":
            days += traded_days(calendar(signal_instrument(strategy.spec).calendar), day, feed.sessions)
        if last is not None and days[-1] > last:
            where = f"TradingStrategy {strategy.full_name}: spec.instrument"
            root = signal_instrument(strategy.spec).root
            rolls = f", or the root {root}" if rolls_by_rule(root) else ""
            expected = f"a contract that trades on {days[-1]}{rolls}: {contract} ends on {last} at the latest"
            yield InvalidInput(where, symbol, expected)


def _holds(contract: str, wanted: str) -> bool:
    """Whether a file of that contract can hold the wanted one; a root stands for whichever month the prints are of."""
    root = instrument_of(contract).root
    return wanted in {contract, root} or (contract == root == instrument_of(wanted).root)
