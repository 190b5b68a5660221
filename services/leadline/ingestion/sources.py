"""Where the prints of a run come from: files that are replayed, or a simulated market.

A source can be read as often as one likes and always says the same. (A pushed feed is no source in this sense: its
prints come once, by a call.)
"""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, Literal, Protocol

import numpy as np

from leadline.ingestion.csv_ticks import Columns, check_header, parse_lines
from leadline.ingestion.days import NO_DAY, TradingDays, day_of
from leadline.ingestion.file_names import distinct_names
from leadline.ingestion.months import one_contract
from leadline.ingestion.normaliser import Normaliser, QuarantinedPrint
from leadline.ingestion.raw import TOO_LARGE, RawColumns, nano, to_nano
from leadline.ingestion.repeats import Repeats
from leadline.ingestion.simulator import count_prints, opening_level, simulate_day
from leadline.ingestion.tally import Counts, require_share
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import NO_CONTRACT, ContractId, derive
from leadline.model.market.calendars import Calendar, calendar
from leadline.model.market.contracts import instrument_of, resolve_contract
from leadline.model.market.hours import local_datetime
from leadline.model.ticks import NS_PER_SECOND, Int64Array, TickColumns

# Text read at once: some 30,000 prints, whose columns fit the processor's cache.
BLOCK_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 1000
# Prints as text shrink by some 3 to 20 times: what becomes longer by more than this was made to. A little may, for the
# first blocks are read ahead of what can be counted.
MAX_RATIO: Final = 200
RATIO_FROM_BYTES: Final = 16_384
# A simulated tape goes on for so long after its last session, so that bars that end with it become known.
CODA_NS: Final = 2 * NS_PER_SECOND

NO_TIME: Final = -1

_DIGEST_BYTES: Final = 20
_FIRST_TIMES: Final = 5


@dataclass(frozen=True, slots=True)
class Day:
    """A trading day of a source: the number of its prints, quarantined ones included, and the first one's time."""

    prints: int
    begins_ns: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Prints that were accepted before, numbered from 0 on. kept_out: the faulty ones that came with them."""

    ticks: Iterator[TickColumns]
    kept_out: Counts


class Source(Protocol):
    """Prints by contract.

    contracts: what it has, in order. content_id: the same for the same prints and for no others.
    """

    kind: Literal["sim", "file", "catalog"]
    contracts: tuple[ContractId, ...]
    content_id: str

    def days(self, contract: ContractId) -> tuple[date, ...] | None:
        """The trading days at hand, in order; None: any day on which the market is open."""

    def day(self, contract: ContractId, day: date) -> Day:
        """A trading day that the source has."""

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """The source's word that a tape which ends with this day has nothing more before this; 0 for no word."""

    def read(self, contract: ContractId, days: Sequence[date]) -> Iterator[RawColumns]:
        """The prints of these trading days, which are neighbours at hand, in the order of the source."""

    def accepted(self, contract: ContractId, days: Sequence[date]) -> Accepted | None:
        """The same where they were accepted before; None where somebody has to judge them."""


class SimulatedSource:
    """A simulated market: see `leadline.ingestion.simulator`."""

    kind: Literal["sim", "file", "catalog"] = "sim"

    def __init__(self, contracts: Sequence[ContractId], seed: int, price: Decimal | None = None) -> None:
        self.contracts = tuple(contracts)
        for contract in self.contracts:
            opening_level(instrument_of(contract), price)  # refuses, before a run is opened
        self.content_id = derive("sim", str(seed), str(price), *self.contracts)
        self._seed = seed
        self._price = price

    def days(self, contract: ContractId) -> None:
        """See `Source`: any day."""

    def day(self, contract: ContractId, day: date) -> Day:
        """See `Source`."""
        hours = calendar(instrument_of(contract).calendar).market(day)
        return Day(count_prints(contract, day, self._seed), hours[0] if hours else 0)

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """See `Source`: a little after the close of that day."""
        hours = calendar(instrument_of(contract).calendar).market(last_day)
        return hours[1] + CODA_NS if hours else 0

    def read(self, contract: ContractId, days: Sequence[date]) -> Iterator[RawColumns]:
        """See `Source`."""
        instrument = instrument_of(contract)
        tick, step = nano(instrument.tick, "tick"), nano(instrument.size_step, "size_step")
        row = 0
        for day in days:
            ticks = simulate_day(contract, day, self._seed, self._price)
            side = ticks.aggressor.astype(np.int64)
            numbers = np.arange(row, row + len(ticks))
            price, size = to_nano(ticks.price, tick), to_nano(ticks.size, step)
            yield RawColumns(contract, ticks.time_ns, price, size, side, numbers, "simulation")
            row += len(ticks)

    def accepted(self, contract: ContractId, days: Sequence[date]) -> None:
        """See `Source`."""


@dataclass(frozen=True, slots=True)
class _File:
    """The contents of a file; `first_ns` and `last_ns` are the times of its first and last good print."""

    path: Path
    name: str
    contract: ContractId
    first_ns: int
    last_ns: int
    days: dict[date, Day]
    kept_out: Counts
    samples: tuple[QuarantinedPrint, ...]


class FileSource:
    """Files of prints as text, gzip-compressed (`.gz`) or not.

    `files` are (path, contract); a root stands for its front contract at the first print, and one whose days have
    several is refused. Several files of a contract
    follow one another in the order of their first prints. All are read once at the start, so that nothing is
    published from a file with an error in it. allowed_lateness_ns: see `Normaliser`.

    Raises InvalidInput that names file, line and field of the first error, a file that runs backwards or says its
    prints twice (`leadline.ingestion.repeats`), and two files of a contract that overlap; Unknown for a contract or a
    day that the platform does not know; OSError for a file that cannot be read.
    """

    kind: Literal["sim", "file", "catalog"] = "file"

    def __init__(self, files: Sequence[tuple[Path, str]], *, allowed_lateness_ns: int = NS_PER_SECOND) -> None:
        names = distinct_names([str(path) for path, _ in files])
        found = sorted(
            (_scan(path, names[str(path)], symbol, allowed_lateness_ns) for path, symbol in files),
            key=lambda file: (file.contract, file.first_ns),
        )
        self._files = tuple(found)
        for before, after in pairwise(found):
            if before.contract == after.contract:
                _refuse_overlap(before, after)
        self.contracts = tuple(sorted({file.contract for file in found}))
        self.content_id = derive("file", *(f"{file.contract}:{_digest(file.path)}" for file in found))
        self._days: dict[ContractId, dict[date, Day]] = {contract: {} for contract in self.contracts}
        for file in found:
            _merge(self._days[file.contract], file.days)

    def days(self, contract: ContractId) -> tuple[date, ...] | None:
        """See `Source`."""
        return tuple(sorted(self._days[contract]))

    def day(self, contract: ContractId, day: date) -> Day:
        """See `Source`."""
        return self._days[contract][day]

    def require_share(self, contract: ContractId, days: Sequence[date], max_percent: Decimal) -> None:
        """Raises TooManyKeptOut when too many of a contract's prints of these days, or of no day, are faulty."""
        counts: Counter[tuple[date | None, str]] = Counter()
        samples: list[QuarantinedPrint] = []
        for file in self._files:
            if file.contract == contract:
                counts.update({key: count for key, count in file.kept_out.items() if key[0] in {None, *days}})
                samples += [each for each in file.samples if each.trading_day in {None, *days}]
        prints = sum(self._days[contract][day].prints for day in days)
        good = prints - sum(count for (day, _), count in counts.items() if day is not None)
        require_share(contract, good, counts, samples, max_percent)

    def kept_out(self, contract: ContractId) -> Counts:
        """All faulty prints of a contract, by trading day (None: they have none) and reason."""
        total: Counter[tuple[date | None, str]] = Counter()
        for file in self._files:
            if file.contract == contract:
                total.update(file.kept_out)
        return total

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """See `Source`: a file does not say whether it was cut off."""
        del contract, last_day
        return 0

    def read(self, contract: ContractId, days: Sequence[date]) -> Iterator[RawColumns]:
        """See `Source`."""
        trading_days = TradingDays(calendar(instrument_of(contract).calendar))
        first, last = days[0].toordinal(), days[-1].toordinal()
        for file in self._files:
            if file.contract != contract:
                continue
            with closing(_blocks(file.path, file.name)) as blocks:
                for line, (time_ns, price, size, side) in blocks:
                    day = trading_days.of(time_ns)
                    # What has no day goes on to be counted.
                    keep = ((day >= first) & (day <= last)) | (day == NO_DAY)
                    lines = np.arange(line, line + len(time_ns))
                    yield RawColumns(
                        contract, time_ns[keep], price[keep], size[keep], side[keep], lines[keep], file.name
                    )

    def accepted(self, contract: ContractId, days: Sequence[date]) -> None:
        """See `Source`."""


def _scan(path: Path, name: str, symbol: str, allowed_lateness_ns: int) -> _File:
    """Read a whole file once, to know that it can be read and what it has."""
    days: dict[date, Day] = {}
    normaliser, trading_days = None, None
    first_ns, last_ns = NO_TIME, NO_TIME
    contract = NO_CONTRACT
    order = 0
    repeats = Repeats(name)
    with closing(_blocks(path, name)) as blocks:
        for line, columns in blocks:
            repeats.feed(line, columns)
            time_ns = columns[0]
            if normaliser is None or trading_days is None:
                begins_ns = _first_time(time_ns)
                if begins_ns == NO_TIME:
                    continue
                contract, market = _market(symbol, begins_ns, name)
                trading_days = TradingDays(market)
                normaliser = Normaliser.of(contract, allowed_lateness_ns=allowed_lateness_ns)
            order += int(np.sign(np.diff(time_ns)).sum())
            _merge(days, _count(trading_days, time_ns))
            lines = np.arange(line, line + len(time_ns))
            good = normaliser.feed(RawColumns(contract, *columns, lines, name))
            first_ns, last_ns = _span(good, first_ns, last_ns)
    if normaliser is None or not days:
        raise InvalidInput(name, "no print", "at least one line with a time after the header")
    if order < 0:
        raise InvalidInput(name, "prints from the newest to the oldest", "prints in the order of time")
    repeats.finish()
    one_contract(symbol, days, name)
    first_ns, last_ns = _span(normaliser.finish(), first_ns, last_ns)
    counts = {(day, reason.value): count for (day, reason), count in normaliser.kept_out.items()}
    return _File(path, name, contract, first_ns, last_ns, days, counts, normaliser.samples)


def _span(ticks: TickColumns, first_ns: int, last_ns: int) -> tuple[int, int]:
    """The first and the last time, these prints included."""
    if not len(ticks):
        return first_ns, last_ns
    return int(ticks.time_ns[0]) if first_ns == NO_TIME else first_ns, int(ticks.time_ns[-1])


def _refuse_overlap(before: _File, after: _File) -> None:
    """Raises InvalidInput when one file of a contract begins before the one before it ends."""
    if NO_TIME not in (before.last_ns, after.first_ns) and after.first_ns < before.last_ns:
        begins, ends = _instant(after.first_ns), _instant(before.last_ns)
        raise InvalidInput(
            f"feed.files: {after.name}",
            f"prints of {after.contract} from {begins} on",
            f"prints after {ends}, where {before.name} ends: files of a contract may not overlap",
        )


def _instant(time_ns: int) -> str:
    return local_datetime(time_ns, "UTC").isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _first_time(time_ns: Int64Array) -> int:
    """About when a file begins: the middle one of its first few times, of which one may be wrong; else NO_TIME."""
    times = time_ns[(time_ns >= 0) & (time_ns != TOO_LARGE)][:_FIRST_TIMES]
    return int(np.sort(times)[(len(times) - 1) // 2]) if len(times) else NO_TIME


def _market(symbol: str, first_ns: int, name: str) -> tuple[ContractId, Calendar]:
    """The contract that a symbol means at its first print, and its calendar."""
    by_date = resolve_contract(symbol, local_datetime(first_ns, "UTC").date())
    market = calendar(instrument_of(by_date).calendar)
    try:
        day = market.trading_day(first_ns)
    except Unknown as unknown:
        expected = f"a time on a day of the calendar {market.name}: {', '.join(unknown.known)}"
        raise InvalidInput(f"{name}:ts_ns", unknown.value, expected) from unknown
    return resolve_contract(symbol, day), market


def _blocks(path: Path, name: str) -> Generator[tuple[int, Columns], None, None]:
    """The lines after the header as columns, block by block, each with the number of its first line."""
    try:
        with path.open("rb") as packed, _unpacked(path, packed) as file:
            check_header(file.readline(MAX_LINE_BYTES), name)
            line = 2
            rest = b""
            while text := file.read(BLOCK_BYTES):
                _refuse_bomb(name, packed.tell(), file.tell())
                block = rest + text
                end = block.rfind(b"\n") + 1
                rest = block[end:]
                lines = block.count(b"\n", 0, end)
                if len(rest) > MAX_LINE_BYTES:
                    where = f"{name}:{line + lines}"
                    raise InvalidInput(where, rest[:80].decode(errors="replace"), "a shorter line")
                if end:
                    yield line, parse_lines(block[:end], name, line)
                    line += lines
            if rest:
                yield line, parse_lines(rest, name, line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInput(name, str(error), "a whole gzip file") from error


def _refuse_bomb(name: str, packed: int, unpacked: int) -> None:
    """Raises InvalidInput for an archive that becomes too many times as long as what has been read of it, in bytes."""
    if unpacked > MAX_RATIO * max(packed, RATIO_FROM_BYTES):
        ratio = f"{unpacked:,} bytes of text in {packed:,} bytes"
        raise InvalidInput(name, ratio, f"an archive of prints, at most {MAX_RATIO} times as long as packed")


def _unpacked(path: Path, packed: BinaryIO) -> AbstractContextManager[gzip.GzipFile | BinaryIO]:
    return gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else nullcontext(packed)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(BLOCK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _count(trading_days: TradingDays, time_ns: Int64Array) -> dict[date, Day]:
    ordinals = trading_days.of(time_ns)
    found = {}
    for ordinal in np.unique(ordinals).tolist():
        day, times = day_of(ordinal), time_ns[ordinals == ordinal]
        if day is not None:
            found[day] = Day(len(times), int(times.min()))
    return found


def _merge(into: dict[date, Day], more: dict[date, Day]) -> None:
    for day, found in more.items():
        known = into.get(day, Day(0, found.begins_ns))
        into[day] = Day(known.prints + found.prints, min(known.begins_ns, found.begins_ns))
