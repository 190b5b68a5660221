"""The bars, and the prints besides, that ingestion and aggregation must carry for a plan on a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from leadline.execution.core.contracts import execution_contract, execution_roots
from leadline.model.durations import spec_token
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import UNASSIGNED, AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import OWN_SERIES, TradingAccount, TradingStrategy, session_of
from leadline.model.market.contracts import front_months, months_from
from leadline.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class BarsWanted:
    """Bars of one session.

    `session` is its id, `open` and `close` are HH:MM on the clock of `zone`; `bars` is the token of what closes a bar
    (`5m`, `ticks500`), `ticks_per_row` the height of a footprint row.
    """

    session: str
    open: str
    close: str
    zone: str
    bars: str
    ticks_per_row: int

    @property
    def spec(self) -> str:
        """Bars with ticks per row, as bar keys and subjects spell it, such as `5m-r1`."""
        return spec_token(self.bars, self.ticks_per_row)


@dataclass(frozen=True, slots=True)
class DemandRow:
    """One thing to carry: bars of a contract, or with `bars` None only its prints.

    `strategy` is `namespace/name`, empty where the account itself needs the prints; `venue` is the venue's token in
    subjects; `series` is the name under which the strategy reads the bars.
    """

    strategy: StrategyId
    account: AccountId
    contract: ContractId
    venue: str
    bars: BarsWanted | None
    series: str = OWN_SERIES


def demand_rows(plan: Plan, contracts: Mapping[ContractId, str], trade_from: date) -> tuple[DemandRow, ...]:
    """All rows of a plan on a run.

    `contracts` maps the dated contracts of the feed to their venues, `trade_from` is the first day that is traded.
    Per strategy a row for each of its series of each contract that it comes to read: of a root the lead month of that
    day and the later ones that the feed has by now, for a tape without an end gains months and loses old ones. Per
    account a ticks-only row for each contract that its strategies can be filled in and the feed has, so that the orders
    find their own tape. Raises InvalidInput when the feed has no contract of a strategy's.
    """
    rows: list[DemandRow] = []
    executed: dict[AccountId, set[ContractId]] = {account.full_name: set() for account in plan.accounts}
    accounts = {account.full_name: account for account in plan.accounts}
    for strategy in plan.strategies:
        try:
            asked = (strategy.spec.instrument, sorted(contracts), trade_from)
            months = months_from(*asked) or front_months(*asked)
        except Unknown as unknown:
            expected = f"a contract of the feed: {', '.join(sorted(contracts)) or 'it has none'}"
            where = f"TradingStrategy {strategy.full_name}: spec.instrument"
            raise InvalidInput(where, unknown.value, expected) from None
        session, hours = session_of(strategy.spec)
        for contract in [month.contract for month in months]:
            names = (strategy.full_name, strategy.account_name, contract, contracts[contract])
            for each in strategy.spec.all_series:
                cut = (each.bars.token, each.ticks_per_row)
                bars = BarsWanted(session, hours.open, hours.close, hours.zone, *cut)
                rows.append(DemandRow(*names, bars, each.name))
            executed[strategy.account_name] |= _executed(accounts[strategy.account_name], contract)
    for account, wanted in executed.items():
        rows += [
            DemandRow(UNASSIGNED, account, name, contracts[name], None) for name in sorted(wanted) if name in contracts
        ]
    return tuple(rows)


def traded_contracts(
    strategy: TradingStrategy, account: TradingAccount, contracts: Mapping[ContractId, str], trade_from: date
) -> set[ContractId]:
    """Every contract that a strategy may come to trade on an account in a run; empty where the feed has none for it."""
    try:
        months = months_from(strategy.spec.instrument, sorted(contracts), trade_from)
    except Unknown:
        return set()
    return {contract for month in months for contract in _executed(account, month.contract)}


def _executed(account: TradingAccount, signal: ContractId) -> set[ContractId]:
    return {execution_contract(signal, root) for root in execution_roots(account, signal)}
