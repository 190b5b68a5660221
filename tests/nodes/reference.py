"""The patterns again, as one would look for them by hand: a price ladder in a dict, one comparison after the other.

Slow and plain on purpose, and with another idea of the work than the detectors, so that both are unlikely to be wrong
in the same way.
"""

from decimal import Decimal

from leadline.model.bars import Bar

Found = set[tuple[str, int]]


def ladder(bar: Bar) -> dict[int, tuple[int, int]]:
    rows = bar.rows
    return {int(p): (int(b), int(a)) for p, b, a in zip(rows.price, rows.bid, rows.ask, strict=True)}


def imbalances(bar: Bar, ratio: Decimal, least: int) -> tuple[list[int], list[int]]:
    """Rows with a buy imbalance, and rows with a sell imbalance, lowest first."""
    traded = ladder(bar)
    lowest, highest, step = min(traded), max(traded), bar.ticks_per_row
    buys, sells = [], []
    for price in sorted(traded):
        bid, ask = traded[price]
        if price != lowest and ask >= least:
            below = traded.get(price - step, (0, 0))[0]
            if Decimal(ask) / Decimal(below or 1) >= ratio:
                buys.append(price)
        if price != highest and bid >= least:
            above = traded.get(price + step, (0, 0))[1]
            if Decimal(bid) / Decimal(above or 1) >= ratio:
                sells.append(price)
    return buys, sells


def stacks(bar: Bar, ratio: Decimal, least: int, levels: int) -> Found:
    """(pattern, price) of every stack: a row that has `levels` - 1 neighbours behind it and none in front."""
    buys, sells = imbalances(bar, ratio, least)
    step = bar.ticks_per_row
    found: Found = set()
    for price in buys:
        if price + step not in buys and all(price - n * step in buys for n in range(levels)):
            found.add(("STACKED_BUY_IMBALANCE", price))
    for price in sells:
        if price - step not in sells and all(price + n * step in sells for n in range(levels)):
            found.add(("STACKED_SELL_IMBALANCE", price))
    return found


def exhaustions(bar: Bar, levels: int, within: int, drop: Decimal, least: int) -> dict[str, Decimal]:
    """Pattern -> share by which the volume falls."""
    traded = ladder(bar)
    from_high = sorted(traded, reverse=True)[:within]
    from_low = sorted(traded)[:within]
    found = {}
    for pattern, prices, side in (("BUYING_EXHAUSTION", from_high, 1), ("SELLING_EXHAUSTION", from_low, 0)):
        run = [traded[prices[0]][side]]
        for price in prices[1:]:
            if traded[price][side] <= run[-1]:
                break
            run.append(traded[price][side])
        if len(run) < levels or run[-1] < least:
            continue
        fallen = Decimal(run[-1] - run[0]) / run[-1]
        if fallen >= drop:
            found[pattern] = fallen
    return found


def absorptions(bar: Bar, levels: int, share: Decimal, least: int) -> dict[str, Decimal]:
    """Pattern -> strength, both sides where both are there."""
    traded = ladder(bar)
    if bar.high == bar.low or len(traded) < levels:
        return {}
    position = Decimal(bar.close - bar.low) / (bar.high - bar.low)
    found = {}
    for pattern, prices, side, away in (
        ("SELLING_ABSORPTION", sorted(traded)[-levels:], 1, 1 - position),
        ("BUYING_ABSORPTION", sorted(traded)[:levels], 0, position),
    ):
        both = sum(sum(traded[price]) for price in prices)
        aggressors = sum(traded[price][side] for price in prices)
        if both >= least and Decimal(aggressors) / both >= share and away >= Decimal("0.5"):
            found[pattern] = min(away * Decimal(aggressors) / least / 2, Decimal(1))
    return found
