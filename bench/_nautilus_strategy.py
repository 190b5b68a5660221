# mypy: ignore-errors
# NautilusTrader is in the environment that bench.nautilus makes, and not in the one in which types are checked.
"""The strategy of `bench.nautilus` in NautilusTrader, run by a Python that has it: TAPE of columns in, RESULT out.

    PYTHON _nautilus_strategy.py TAPE.npz RESULT.json

It is written as its users write one: a footprint per bar in a dictionary, a bracket from the order factory. `seconds`
and `cpu` are those of `engine.run()` alone; `build` those of making its ticks out of the columns and adding them.
"""

import json
import resource
import sys
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from nautilus_trader import __version__
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import PerContractFeeModel
from nautilus_trader.common.component import TimeEvent
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, AssetClass, OmsType, OrderSide, OrderType
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import FuturesContract
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

MINUTE_NS = 60_000_000_000
BAR_NS, AFTER_OPEN_NS, BEFORE_CLOSE_NS, FLATTEN_NS = 5 * MINUTE_NS, 5 * MINUTE_NS, 15 * MINUTE_NS, 5 * MINUTE_NS
RATIO, LEAST, LEVELS, STOP_TICKS, TARGET_TICKS = 3, 10, 3, 16, 24
TICK = Decimal("0.25")
START = 1_000_000
INSTRUMENT = InstrumentId.from_str("MESH2025.XCME")


class Stacks(Strategy):
    """Enters with a stack of diagonal imbalances of the bar that has closed, with a stop and a target."""

    def __init__(self, open_ns: int, close_ns: int) -> None:
        super().__init__()
        self.open_ns, self.close_ns = open_ns, close_ns
        self.end_ns = 0
        self.rows = {}
        self.step = 0
        self.told = []

    def on_start(self) -> None:
        """Ask for ticks, and to be called when everything is to be closed."""
        self.instrument = self.cache.instrument(INSTRUMENT)
        self.step = self.instrument.price_increment.raw
        self.subscribe_trade_ticks(INSTRUMENT)
        self.clock.set_time_alert_ns("flatten", self.close_ns - FLATTEN_NS, self.on_flatten)

    def on_flatten(self, _: TimeEvent) -> None:
        """Close what is held."""
        self.cancel_all_orders(INSTRUMENT)
        self.close_all_positions(INSTRUMENT)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """Add the print to its bar's footprint; the first one after a bar's end looks at the bar."""
        if tick.ts_event >= self.end_ns:
            if self.rows:
                self.look(tick)
            self.rows = {}
            self.end_ns = self.open_ns + ((tick.ts_event - self.open_ns) // BAR_NS + 1) * BAR_NS
        price = tick.price.raw
        row = self.rows.get(price)
        if row is None:
            row = self.rows[price] = [0, 0]
        row[tick.aggressor_side == AggressorSide.BUYER] += int(tick.size)

    def look(self, tick: TradeTick) -> None:
        """Enter on the closed bar's stacks, where they speak for one side and nothing is held or works."""
        if not self.open_ns + AFTER_OPEN_NS <= tick.ts_event < self.close_ns - BEFORE_CLOSE_NS:
            return
        prices = sorted(self.rows)
        buys = self.stacked(prices[1:], 1, -self.step)
        sells = self.stacked(prices[:-1], 0, self.step)
        if buys == sells or not self.portfolio.is_flat(INSTRUMENT) or self.cache.orders_open(instrument_id=INSTRUMENT):
            return
        side = 1 if buys else -1
        last = tick.price.as_decimal()
        self.submit_order_list(
            self.order_factory.bracket(
                instrument_id=INSTRUMENT,
                order_side=OrderSide.BUY if buys else OrderSide.SELL,
                quantity=Quantity.from_int(1),
                sl_trigger_price=Price(last - side * STOP_TICKS * TICK, 2),
                tp_price=Price(last + side * TARGET_TICKS * TICK, 2),
            )
        )

    def stacked(self, prices: list[int], own: int, step: int) -> bool:
        """Whether so many neighbouring rows outweigh the other side one row away."""
        run, before = 0, None
        for price in prices:
            volume = self.rows[price][own]
            beside = self.rows.get(price + step)
            if volume >= LEAST and volume >= RATIO * (beside[1 - own] if beside else 0):
                run = run + 1 if before is not None and price == before + self.step else 1
                before = price
                if run == LEVELS:
                    return True
        return False

    def on_order_filled(self, event: OrderFilled) -> None:
        """Note the fill."""
        kind = {OrderType.STOP_MARKET: "stop", OrderType.LIMIT: "target"}.get(event.order_type, "market")
        side = "BUY" if event.order_side == OrderSide.BUY else "SELL"
        self.told.append([kind, side, int(event.last_qty), str(event.last_px), event.ts_event])


def main() -> None:
    """Run the tape and write what came of it."""
    began = perf_counter()
    with np.load(sys.argv[1]) as tape:
        columns = {name: tape[name] for name in tape.files}
    open_ns, close_ns = columns["session"].tolist()
    engine = BacktestEngine(config=BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    engine.add_venue(
        venue=Venue("XCME"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(START, USD)],
        fee_model=PerContractFeeModel(Money(Decimal("1.25"), USD)),
    )
    engine.add_instrument(
        FuturesContract(
            instrument_id=INSTRUMENT,
            raw_symbol=Symbol("MESH2025"),
            asset_class=AssetClass.INDEX,
            currency=USD,
            price_precision=2,
            price_increment=Price(TICK, 2),
            multiplier=Quantity.from_int(5),
            lot_size=Quantity.from_int(1),
            underlying="MES",
            activation_ns=0,
            expiration_ns=close_ns + 1000 * MINUTE_NS,
            ts_event=0,
            ts_init=0,
        )
    )
    strategy = Stacks(open_ns, close_ns)
    engine.add_strategy(strategy)
    times = columns["time_ns"].astype(np.uint64)
    ticks = TradeTick.from_raw_arrays_to_list(
        INSTRUMENT,
        2,
        0,
        columns["price"] * float(TICK),
        columns["size"].astype(np.float64),
        np.where(columns["aggressor"] > 0, AggressorSide.BUYER, AggressorSide.SELLER).astype(np.uint8),
        [str(number) for number in range(len(times))],
        times,
        times,
    )
    engine.add_data(ticks)
    del ticks
    build = perf_counter() - began
    began, cpu = perf_counter(), process_time()
    engine.run()
    seconds, cpu = perf_counter() - began, process_time() - cpu
    balance = engine.cache.account_for_venue(Venue("XCME")).balance_total(USD).as_decimal()
    found = {
        "engine": f"NautilusTrader {__version__} (Python {sys.version.split()[0]})",
        "seconds": seconds,
        "cpu": cpu,
        "build": build,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "net": str(balance - START),
        "fills": strategy.told,
    }
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
