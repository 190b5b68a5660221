"""Names of the code in the documents are there, and the way of a tick is the way that the code goes."""

import importlib
import inspect
import re
from dataclasses import fields
from decimal import Decimal

import pytest

from leadline.model.bars import Bar, FootprintRows
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.model.orders import Bracket
from tests.docs.demo_day import prints, trade_of
from tests.docs.pages import DOCS, ROOT, name_of, pages

WAY = DOCS / "explanation" / "way-of-a-tick.md"
NAME = re.compile(r"`(leadline(?:\.\w+)+)`")

# The rooms of each step, in the order in which it comes to them first. The bus and its messages are `runtime`.
ROOMS = [
    ["ingestion"],
    ["ingestion", "model", "runtime"],
    ["aggregation", "runtime", "model"],
    ["analysis", "runtime", "nodes", "model"],
    ["execution", "venue"],
    ["execution", "risk"],
    ["execution", "risk", "model", "venue"],
    ["venue", "execution"],
    ["execution", "recorder", "views", "cli"],
]


def find(name):
    """The object that a dotted name means; LookupError when there is none."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                raise LookupError(name)
            found = getattr(found, part)
        return found
    raise LookupError(name)


def names_in(text):
    return list(dict.fromkeys(NAME.findall(text)))


def steps():
    """The numbered sections of the way."""
    return re.split(r"^## \d+\. .*$", WAY.read_text(), flags=re.MULTILINE)[1:]


def uses(caller, callee):
    """Whether the module of one name calls the other, or hands it on, outside of its definition and of imports."""
    module = inspect.getmodule(find(caller))
    assert module is not None, caller
    source = inspect.getsource(module)
    code = re.sub(r"^(?:from|import) .*?(?:\)|$)", "", source, flags=re.MULTILINE)
    owner, last = find(callee.rpartition(".")[0]), callee.rpartition(".")[2]
    # A method is called on something; a function by its name.
    place = r"\." if inspect.isclass(owner) else r"(?<!def )(?<!\.)\b"
    return re.search(rf"{place}{last}\b", code) is not None


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_name_of_the_code_exists(page):
    missing = []
    for name in names_in(page.read_text()):
        try:
            find(name)
        except LookupError:
            missing.append(name)
    assert missing == []


def test_the_way_comes_to_the_rooms_in_their_order():
    passed = [list(dict.fromkeys(name.split(".")[1] for name in names_in(text))) for text in steps()]
    assert passed == ROOMS


def test_every_function_of_the_way_is_called_by_one_beside_it():
    """Prints are pulled out of a source and pushed through the rest, so the caller may stand before or after."""
    loose = []
    seen: list[str] = []
    for text in steps():
        here = names_in(text)
        for name in here:
            beside = [other for other in (*seen, *here) if other != name]
            # A step begins where something reads a stream or answers a call: its room's service starts it.
            if not any(uses(other, name) for other in beside) and not starts(name):
                loose.append(name)
        seen += here
    assert loose == []


def starts(name):
    """Whether a name is a shell's entry, which the runtime, gRPC or a task calls."""
    return bool(re.fullmatch(r"leadline\.\w+\.(?:service|servicer|carrier)\.\w+(?:\.\w+)?", name))


@pytest.fixture(scope="module")
def trade():
    strategy, account = load_manifests(ROOT / "examples" / "mes-orderflow.yaml")
    assert isinstance(strategy, TradingStrategy)
    assert isinstance(account, TradingAccount)
    return trade_of(account, strategy, 12)


def test_the_print_that_is_followed_is_the_one_that_makes_its_bar_known(trade):
    _, ticks = prints("MES", 5)
    row = ticks.slice(291_350, 291_351)
    assert (int(row.price[0]), int(row.size[0]), int(row.aggressor[0])) == (23_960, 2, 1)
    assert trade.bar.known_at_ns == int(row.time_ns[0]) == 1_749_566_100_247_527_670
    assert (trade.bar.prints, trade.bar.volume, trade.bar.delta, trade.bar.last_index) == (523, 1268, -86, 291_349)


def test_what_is_said_about_the_bar_is_what_the_page_says(trade):
    approved = {str(signal.pattern): signal for signal in trade.said.signals if signal.approved}
    assert list(approved) == ["SELLING_EXHAUSTION", "BUYING_ABSORPTION"]
    assert approved["BUYING_ABSORPTION"].strength == 1
    evidence = approved["BUYING_ABSORPTION"].evidence
    assert (evidence["bid"], int(evidence["bid"]) + int(evidence["ask"])) == (189, 233)
    assert approved["SELLING_EXHAUSTION"].strength == Decimal("0.852941")
    assert approved["SELLING_EXHAUSTION"].evidence["volumes"] == [15, 72, 102]
    assert len(trade.said.signals) == 6
    regime = trade.said.regime
    assert regime is not None
    assert (regime.regime, regime.confidence) == ("TRENDING_UP", Decimal("0.833333"))
    assert sorted(map(Decimal, regime.scores.values()))[-2:] == [Decimal("2.5"), Decimal("7.5")]


def test_risk_decides_as_the_page_says(trade):
    answer = trade.answer
    assert (answer.side, answer.quantity, answer.contract) == ("BUY", 2, "MESM2025")
    assert answer.bracket == Bracket(16, 24)
    assert dict(answer.arithmetic)["scaled"] == "3"
    assert trade.client_id == "L4vfb3vo544vgubmr"


def test_the_order_is_filled_and_left_as_the_pages_say(trade):
    entry, leave = [event.fill for event in trade.events if event.fill is not None]
    assert (entry.source_index, entry.price) == (291_351, 23_962)
    stop, target = [event.order for event in trade.events if event.order.parent][:2]
    assert (stop.stop_price, target.limit_price) == (23_946, 23_986)
    assert (leave.price, leave.price - entry.price) == (23_945, -17)


def test_the_tables_of_a_bar_and_of_its_rows_name_each_of_their_fields():
    page = (DOCS / "how-to" / "write-a-strategy.md").read_text()
    bar, rows = page.partition("## The bar")[2].partition("## The manifest")[0].split("| column of `bar.rows` |")
    for table, model in ((bar, Bar), (rows, FootprintRows)):
        first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
        assert sorted(re.findall(r"`(\w+)`", "".join(first))) == sorted(each.name for each in fields(model))
