"""`leadline data fetch`: trades that are bought of Databento, into the catalog."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

import typer
from pydantic import SecretStr

from leadline.catalog.catalog import Catalog
from leadline.catalog.coverage import reaches_over, session_window
from leadline.catalog.entry import DayEntry
from leadline.cli.data import opened, progress
from leadline.cli.data_import import put
from leadline.cli.data_spend import dollars
from leadline.cli.manifests import day_of
from leadline.cli.options import Output
from leadline.cli.output import complain, print_json, print_table
from leadline.execution.core.contracts import execution_symbols
from leadline.ingestion.databento.client import Away, Databento, RefusedByDatabento
from leadline.ingestion.databento.days import DATASET, Closed, DayRequest, days_wanted
from leadline.ingestion.databento.store import Purchases
from leadline.ingestion.dbn import read_dbn
from leadline.ingestion.dbn_prints import DatabentoPrints
from leadline.ingestion.tally import TooManyKeptOut
from leadline.model.counted import counted
from leadline.model.durations import NS_PER_DAY
from leadline.model.errors import InvalidInput, LeadlineError, Unknown, error_text, reason_of
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.plan.plan import plan
from leadline.plan.platform import PlatformSettings
from leadline.report.clock import day_and_time

KEY_VARIABLE: Final = "DATABENTO_API_KEY"

_EPOCH: Final = date(1970, 1, 1).toordinal()
_COLUMNS: Final = ("contract", "symbol", "day", "from (UTC)", "to (UTC)", "trades", "USD", "quality", "state")
State = Literal["there already", "bought already", "to buy", "no trades", "bought", "not taken"]


class NotWhole(LeadlineError):
    """Another number of trades arrived than were bought."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """The words of `leadline data fetch`."""

    symbols: Sequence[str]
    manifests: Sequence[Path]
    first: str
    last: str
    session: str | None
    budget: str | None
    dry_run: bool
    key_file: Path | None
    url: str
    max_kept_out: float
    again: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A day and what becomes of it.

    trades: their number. cost: USD. quality: degraded or pending, empty for data without a fault. All three as
    Databento says, where it was asked. in_doubt: USD that was perhaps paid for it before.
    """

    request: DayRequest
    state: State
    trades: int = 0
    cost: Decimal = Decimal(0)
    quality: str = ""
    in_doubt: Decimal = Decimal(0)


def run_fetch(options: FetchOptions, folder: Path, own: Sequence[Path], output: Output) -> int:
    """Say what the days cost, and, where that is allowed, buy those that are not there and put them in.

    Returns the exit code: 1 when a day was bought that the catalog did not take.
    """
    catalog = opened(folder, own)
    budget = _budget(options.budget)
    symbols, history = _symbols(options)
    first, last = day_of(options.first, "from_day"), day_of(options.last, "to_day")
    days = days_wanted(symbols, first, last, session=options.session, history=history)
    service = Databento(_key(options.key_file), options.url, _warn)
    buyer = Buyer(catalog, Purchases(catalog.root), service, options)
    if options.dry_run:
        _say(catalog, buyer.look(days.requests), days.closed, output)
        return 0
    with buyer.purchases.at_work():
        buyer.purchases.mend()
        found = buyer.look(days.requests)
        if output is Output.TEXT:
            _say(catalog, found, days.closed, output)
        _require_allowed(found, budget, again=options.again)
        done = [buyer.take(each) for each in found]
    if output is Output.JSON:
        _say(catalog, done, days.closed, output)
    elif bought := [each for each in done if each.state == "bought"]:
        print(f"bought {counted(len(bought), 'day')} for {dollars(_cost(bought))}, into {catalog.root}")
    return 1 if any(each.state == "not taken" for each in done) else 0


@dataclass(frozen=True, slots=True)
class Buyer:
    """Looks days up, buys them and puts them into a catalog."""

    catalog: Catalog
    purchases: Purchases
    service: Databento
    options: FetchOptions

    def look(self, requests: Sequence[DayRequest]) -> list[Wanted]:
        """How each day is to be had. The cost is asked only of days that are not there."""
        held = {request: state for request in requests if (state := self._held(request))}
        asked = [request for request in requests if request not in held]
        conditions: dict[date, str] = {}
        if asked:
            progress(f"asking Databento for the cost of {counted(len(asked), 'day')}")
            conditions = self.service.conditions(min(map(_first_day, asked)), max(map(_last_day, asked)))
        return [
            Wanted(request, held[request]) if request in held else self._offered(request, conditions)
            for request in requests
        ]

    def _held(self, request: DayRequest) -> State | None:
        """How a day is there; None for one that has to be bought."""
        if entry := self._entry(request):
            window = session_window(request.contract, request.day, self.options.session)
            if self.purchases.covers(request) or (window and reaches_over(entry.first_ns, entry.last_ns, window)):
                return "there already"
        return "bought already" if self.purchases.held(request) else None

    def _entry(self, request: DayRequest) -> DayEntry | None:
        """The day as the catalog has it; None for one that is not there, or damaged."""
        try:
            return self.catalog.day(request.contract, request.day)
        except (Unknown, InvalidInput):
            return None

    def _offered(self, request: DayRequest, conditions: Mapping[date, str]) -> Wanted:
        found = {conditions.get(day) for day in (_first_day(request), _last_day(request))}
        quality = ", ".join(sorted(filter(None, found)))
        if trades := self.service.record_count(request):
            cost, in_doubt = self.service.cost(request), self.purchases.in_doubt(request)
            return Wanted(request, "to buy", trades, cost, quality, in_doubt)
        return Wanted(request, "no trades", quality=quality)

    def take(self, wanted: Wanted) -> Wanted:
        """A day that is in the catalog then, where there is anything of it."""
        if wanted.state in ("there already", "no trades"):
            return wanted
        if wanted.state == "to buy":
            self._buy(wanted)
        try:
            self._put(wanted.request)
        except (InvalidInput, TooManyKeptOut) as error:
            # It is paid for, and the other days need not wait until somebody has looked at it.
            complain(f"{wanted.request.contract} {wanted.request.day} is bought, and not taken: {error}")
            return replace(wanted, state="not taken")
        return replace(wanted, state="bought") if wanted.state == "to buy" else wanted

    def _put(self, request: DayRequest) -> None:
        """Put a file that was bought into the catalog. Raises InvalidInput, TooManyKeptOut where it is not taken."""
        file, percent = self.purchases.file(request), Decimal(f"{self.options.max_kept_out:g}")
        damaged = self._entry(request) is None
        for day in DatabentoPrints([file], [request.contract], percent).days():
            if day.day != request.day:
                raise InvalidInput(f"{file}: trading day", day.day.isoformat(), f"{request.day}, as was asked for")
            try:
                put(self.catalog, replace(day, source=f"Databento {request.name}"), replace=damaged)
            except InvalidInput as error:
                expected = f"{error.expected} (`leadline data import {file} --replace`)"
                raise InvalidInput(error.field, error.value, expected) from None

    def _buy(self, wanted: Wanted) -> None:
        """Load a day down into its file, which takes its name only when it is whole."""
        request, file = wanted.request, self.purchases.file(wanted.request)
        fresh = file.with_name(f"new-{file.name}")
        begun = self.purchases.begin(request, wanted.trades, wanted.cost)
        progress(f"{request.contract} {request.day}: loading {wanted.trades:,} trades for {dollars(wanted.cost)}")
        try:
            self.service.download(request, fresh)
            _require_whole(fresh, wanted)
        except (LeadlineError, OSError) as error:
            if not isinstance(error, NotWhole):
                fresh.unlink(missing_ok=True)
            self.purchases.end(begun, "refused" if _nothing_sent(error) else "failed", error_text(error))
            raise
        self.purchases.keep(fresh, request)
        self.purchases.end(begun, "complete")


def _first_day(request: DayRequest) -> date:
    return _utc_day(request.start_ns)


def _last_day(request: DayRequest) -> date:
    return _utc_day(request.end_ns - 1)


def _utc_day(time_ns: int) -> date:
    return date.fromordinal(_EPOCH + time_ns // NS_PER_DAY)


def _nothing_sent(error: LeadlineError | OSError) -> bool:
    """Whether Databento said that it sends nothing, for which it takes nothing."""
    return isinstance(error, RefusedByDatabento) or (isinstance(error, Away) and error.not_begun)


def _require_whole(file: Path, wanted: Wanted) -> None:
    """Raises InvalidInput for a file that was cut, NotWhole for one with another number of trades than was counted."""
    prints = read_dbn(file, file.name)
    found = sum(len(columns.time_ns) for columns in prints.columns.values()) + sum(prints.skipped.values())
    if found != wanted.trades:
        raise NotWhole(
            f"{wanted.request.contract} {wanted.request.day}: {found:,} trades arrived of the {wanted.trades:,} that "
            f"Databento counts, and nothing of the day was taken. They are in {file}: `leadline data import` takes "
            "them when Databento says that they are all"
        )


def _symbols(options: FetchOptions) -> tuple[tuple[str, ...], int]:
    """The instruments that are meant, and the sessions of history before the first day."""
    if bool(options.symbols) == bool(options.manifests):
        named = ", ".join(options.symbols) or None
        raise InvalidInput("INSTRUMENTS", named, "instruments such as ES, or --file with strategies, one of both")
    if options.symbols:
        return tuple(dict.fromkeys(options.symbols)), 0
    manifests = load_manifests(*options.manifests)
    strategies = [item for item in manifests if isinstance(item, TradingStrategy)]
    if not strategies:
        raise InvalidInput("--file", ", ".join(map(str, options.manifests)), "at least one TradingStrategy")
    planned = plan(PlatformSettings(), [item for item in manifests if isinstance(item, TradingAccount)], strategies)
    accounts = {account.full_name: account for account in planned.accounts}
    found: dict[str, None] = {}
    for strategy in planned.strategies:
        found[strategy.spec.instrument] = None
        found |= dict.fromkeys(execution_symbols(strategy, accounts[strategy.account_name]))
    history = max(each.history for strategy in planned.strategies for each in strategy.spec.all_series)
    return tuple(found), history


def _key(file: Path | None) -> SecretStr:
    """The key, of a file or the environment. It is in no error."""
    where, text = KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "")
    if file is not None:
        where = f"--key-file {file}"
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InvalidInput("--key-file", str(file), f"a file that can be read ({reason_of(error)})") from None
    key = text.strip()
    if not key:
        expected = f"a key of Databento's, in the environment variable {KEY_VARIABLE} or in a file (--key-file)"
        raise InvalidInput(where, None, expected)
    if not key.isascii() or not key.isprintable() or set(key) & set(": "):
        raise InvalidInput(where, f"{len(key)} characters", "a key of Databento's alone: letters, digits and -")
    return SecretStr(key)


def _budget(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(-1)
    if not found.is_finite() or found < 0:
        raise InvalidInput("--budget", text, "US dollars, such as 10.00")
    return found


def _cost(days: Sequence[Wanted]) -> Decimal:
    return sum((each.cost for each in days), Decimal(0))


def _in_doubt(days: Sequence[Wanted]) -> Decimal:
    return sum((each.in_doubt for each in days), Decimal(0))


def _doubt(found: Sequence[Wanted]) -> str:
    """Says what was perhaps paid before for days that have to be bought; empty for nothing."""
    days = ", ".join(f"{each.request.contract} {each.request.day}" for each in found if each.in_doubt)
    return f"{dollars(_in_doubt(found))} was perhaps paid before for {days}, and nothing whole arrived" if days else ""


def _require_allowed(found: Sequence[Wanted], budget: Decimal | None, *, again: bool) -> None:
    """Raises InvalidInput unless it may be spent: within the budget, or as somebody at a terminal says.

    What was perhaps paid before for the same days needs a word of its own, and counts in the budget.
    """
    if not again and (doubt := _doubt(found)):
        expected = f"this word to pay once more: {doubt} (`leadline data spend` lists it); nothing was bought"
        raise InvalidInput("--again", None, expected)
    count, in_doubt = sum(each.state == "to buy" for each in found), _in_doubt(found)
    cost = _cost(found) + in_doubt
    if not count or (budget is not None and cost <= budget):
        return
    before = f", {dollars(in_doubt)} of it perhaps paid before" if in_doubt else ""
    price = f"{dollars(cost)} for {counted(count, 'day')}{before}"
    if budget is not None:
        raise InvalidInput("--budget", f"{budget:f}", f"at least {price}; nothing was bought")
    if not sys.stdin.isatty():
        expected = f"at least {price}, for there is no terminal to ask at; nothing was bought"
        raise InvalidInput("--budget", None, expected)
    if not typer.confirm(f"Pay {price}?", err=True):
        raise typer.Exit(1)


def _say(catalog: Catalog, found: Sequence[Wanted], closed: Sequence[Closed], output: Output) -> None:
    """The days with what they cost, as a table or as one document."""
    if output is Output.JSON:
        print_json(
            {
                "catalog": str(catalog.root),
                "dataset": DATASET,
                "days": [_document(each) for each in found],
                "closed": [{"calendar": each.calendar, "day": each.day, "reason": each.reason} for each in closed],
                "cost": _cost(found),
                "perhaps_paid": _in_doubt(found),
            }
        )
        return
    rows = [
        (
            each.request.contract,
            each.request.symbol,
            each.request.day,
            day_and_time(each.request.start_ns)[:-3],
            day_and_time(each.request.end_ns)[:-3],
            f"{each.trades:,}" if each.trades else "",
            f"{each.cost:.4f}" if each.trades else "",
            each.quality,
            each.state,
        )
        for each in found
    ]
    print_table(
        f"{DATASET}, trades",
        _COLUMNS,
        rows,
        "no day",
        wide_only=("from (UTC)", "to (UTC)"),
        only_where_filled=("trades", "USD", "quality"),
    )
    for shut in closed:
        print(f"{shut.day}: {shut.calendar} is closed ({shut.reason})")
    print(f"{counted(sum(each.state == 'to buy' for each in found), 'day')} to buy, {dollars(_cost(found))}")
    if doubt := _doubt(found):
        print(f"{doubt}: --again pays once more, and a budget has to be enough for both")


def _document(wanted: Wanted) -> dict[str, Any]:
    request = wanted.request
    return {
        "contract": request.contract,
        "symbol": request.symbol,
        "day": request.day,
        "start_ns": request.start_ns,
        "end_ns": request.end_ns,
        "trades": wanted.trades,
        "cost": wanted.cost,
        "perhaps_paid": wanted.in_doubt,
        "quality": wanted.quality or "available",
        "state": wanted.state,
    }


def _warn(words: str) -> None:
    progress(f"Databento warns: {words}")
