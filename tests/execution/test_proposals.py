"""Several proposals at one bar: each is decided and stored, in their order, seeing what those before it reserved."""

from dataclasses import replace
from pathlib import Path

from leadline.model.ids import AccountId, RunId, StrategyId, decision_id
from leadline.model.orders import Bracket, OrderType
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.builders import MES, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.stores import IN_BOTH

LONG = Proposal(Action.ENTER, Direction.LONG, why=("up",))
SHORT_ADD = Proposal(Action.ADD, Direction.SHORT)
SHORT = Proposal(Action.ENTER, Direction.SHORT, why=("down",))
PRINTS = {MES: tape((599, 20_000), (601, 20_000), (700, 20_010), (701, 20_010), (800, 20_020), (900, 19_900))}


def saying(seconds: float, *proposals: Proposal) -> BarSignals:
    """A bar at which a strategy wants something, and tells of no regime and no pattern."""
    return replace(bar(seconds), regime=None, signals=(), proposals=proposals)


def desk_of(books: Books, folder: Path, *bars: BarSignals, limits: dict[str, int] | None = None) -> Desk:
    desk = Desk(books, folder, PRINTS, {"default/mes": says(bars, end=1000)}, [strategy()], ends=1000)
    desk.manifest = account(limits=limits or {"maxOpenTrades": 1, "maxPosition": 2})
    return desk


@IN_BOTH
async def test_each_proposal_of_a_bar_gets_its_decision_and_sees_what_the_one_before_reserved(
    books: Books, folder: Path
):
    said = saying(600, LONG, LONG)
    desk = desk_of(books, folder, said, saying(800, LONG))
    await desk.run(read_back=True)
    key = said.bar.text()
    columns = "source, bar_key, decision_id, accepted, reason, patterns, regime"
    found = await desk.rows("decision", columns, "instant_ns, source")
    names = {
        source: decision_id(AccountId("default/paper"), StrategyId("default/mes"), source)
        for source in (key, f"{key}#2")
    }
    assert found[:2] == [
        (key, key, names[key], True, "", ["up"], ""),
        (f"{key}#2", key, names[f"{key}#2"], False, "max_open_trades", ["up"], ""),
    ]
    assert len(found) == 3


async def test_two_entries_of_one_bar_wait_together_where_the_limits_allow_it(books: Books, folder: Path):
    low = replace(LONG, entry=EntryTerms(OrderType.LIMIT, 19_992))
    high = replace(LONG, entry=EntryTerms(OrderType.STOP, 20_008), bracket=Bracket(stop_price=20_000, target_ticks=8))
    desk = desk_of(books, folder, saying(600, high, low), limits={"maxOpenTrades": 2, "maxPosition": 2})
    await desk.run(read_back=True)
    assert [accepted for *_, accepted, _ in await desk.decisions()] == [True, True]
    entries = await desk.rows("intent", "leg, type, limit_price, stop_price, filled", "type, leg")
    assert [row for row in entries if row[0] == "E"] == [
        ("E", "LIMIT", 19_992, None, 1),
        ("E", "STOP", None, 20_008, 1),
    ]


async def test_a_stop_entry_with_exits_at_prices_fills_and_leaves_by_them(books: Books, folder: Path):
    own = Bracket(stop_price=19_995, target_price=20_016)
    entry = replace(LONG, entry=EntryTerms(OrderType.STOP, 20_008, ns(700) - ns(600)), bracket=own)
    desk = desk_of(books, folder, saying(600, replace(entry, entry=EntryTerms(OrderType.STOP, 20_008))))
    await desk.run(read_back=True)
    rows = await desk.rows("intent", "leg, type, side, limit_price, stop_price, state", "decided_at_ns, leg")
    assert rows == [
        ("E", "STOP", "BUY", None, 20_008, "FILLED"),
        ("S1", "STOP", "SELL", None, 19_995, "CANCELLED"),
        ("T1", "LIMIT", "SELL", 20_016, None, "FILLED"),
    ]
    (price, _), (exit_price, _) = await desk.rows("fill", "price, ts_ns", "venue_event")
    assert (price, exit_price) == (20_011, 20_016)  # the print beyond the stop and a tick of slippage; the limit

    late = desk_of(books, folder, saying(600, entry))
    late.name = "late"
    await late.run(read_back=True)
    assert [row[-1] for row in await late.orders()] == ["EXPIRED"]


async def test_a_stop_that_the_fill_has_passed_leaves_at_the_market(books: Books, folder: Path):
    entry = replace(SHORT, bracket=Bracket(stop_price=20_005, target_ticks=24))
    desk = desk_of(books, folder, saying(600, entry))
    desk.prints = {MES: tape((599, 20_000), (601, 20_007), (602, 20_007), (900, 20_000))}
    await desk.run(read_back=True)
    rows = await desk.rows("intent", "leg, type, state, reason", "decided_at_ns, leg")
    assert rows[1] == ("S1", "MARKET", "FILLED", "beyond_stop")


@IN_BOTH
async def test_a_pyramid_adds_to_what_it_holds_each_part_with_exits_of_its_own(books: Books, folder: Path):
    add = replace(LONG, action=Action.ADD, bracket=Bracket(stop_price=20_000, target_price=20_016))
    desk = desk_of(books, folder, saying(600, add, LONG), saying(700, SHORT_ADD, add), saying(702, add))
    desk.prints = {MES: tape((599, 20_000), (601, 20_000), (699, 20_008), (701, 20_008), (800, 20_020), (900, 19_980))}
    await desk.run(read_back=True)
    # The third would be more than the two contracts that the account may hold.
    assert [reason for *_, reason in await desk.decisions()] == [
        "nothing_held",
        "",
        "opposite_position",
        "",
        "max_position",
    ]
    fills = [(leg, second, price) for leg, second, price, *_ in await desk.fills()]
    assert fills == [
        ("E", 601, 20_001),
        ("E", 701, 20_009),
        ("T1", 800, 20_016),
        ("S1", 900, 19_979),
    ]


@IN_BOTH
async def test_what_was_asked_for_is_stored_whether_it_was_accepted_or_not(books: Books, folder: Path):
    asked = replace(LONG, entry=EntryTerms(OrderType.LIMIT, 19_000), quantity=2)
    desk = desk_of(books, folder, saying(600, asked, LONG))
    await desk.run(read_back=True)
    [(refused, reason), (accepted, _)] = await desk.rows("decision", "proposal, reason", "source")
    assert (refused["entry"], refused["quantity"], reason) == (
        {"type": "LIMIT", "price": 19_000, "valid_for_ns": None},
        2,
        "price_collar",
    )
    assert accepted == {
        "action": "ENTER",
        "direction": "LONG",
        "entry": None,
        "bracket": None,
        "quantity": None,
        "group": "",
        "unit": "",
        "why": ["up"],
        "withdrawn": None,
    }


async def test_terms_of_its_own_are_in_the_digest_and_the_manifest_s_are_not(books: Books, folder: Path):
    def proposals(lines: list[bytes]) -> list[bool]:
        return [b'"proposal":' in line for line in lines if b'"kind":"decision"' in line]

    desk = desk_of(books, folder, saying(600, LONG), saying(700, replace(LONG, quantity=1)))
    await desk.run()
    assert proposals(await books.lines(RunId(desk.tape))) == [False, True]
