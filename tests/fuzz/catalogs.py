"""Files of the catalog and of Databento, changed in every way: one clear error, or the prints as they were."""

import tempfile
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path

from hypothesis import strategies as st

from leadline.catalog.catalog import Catalog
from leadline.catalog.entry import describe, to_words
from leadline.catalog.parquet import encode
from leadline.ingestion.catalog_source import CatalogSource
from leadline.ingestion.dbn_prints import DatabentoPrints
from leadline.ingestion.tally import TooManyKeptOut
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns
from tests.catalog.builders import CONTRACT, DAY, changed, equal, filled, prints, put
from tests.ingestion.databento_files import dbn_bytes, order, trade

_COUNT = 60


def damaged(data: st.DataObject) -> bool:
    """A day whose bytes are others: it is read by nobody, unless they are the same again."""
    content = _file()
    other = _other_bytes(data, content)
    quick, full = _read(other, verified=False), _read(other, verified=True)
    for found in (quick, full):
        assert (found is not None) == (other == content)
        assert found is None or equal(found, prints(_COUNT))
    return full is not None


def forged(data: st.DataObject) -> bool:
    """A whole file with right seals, whose head or prints are not those of a day: a full look takes no such day."""
    ticks, words = prints(_COUNT), to_words(describe(CONTRACT, DAY, prints(_COUNT)))
    if data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(words)))
        text = data.draw(st.sampled_from([*words.values(), "", "-1", "2", "1e9", "2025-01-14", "ESM2025", "{}", "[1]"]))
        changed_words = {**words, key: text}
        found = _read(encode(ticks, changed_words), verified=True)
        # These say where prints came from and what is not among them, and nothing of the prints.
        assert found is None or key in {"source", "kept_out", "outside"} or changed_words == words
        assert found is None or equal(found, ticks)
    else:
        number, value = data.draw(st.integers(0, 3)), data.draw(st.sampled_from([-100, -2, 0, 2, 100]))
        wrong = changed(ticks, number, value)
        found = _read(encode(wrong, words), verified=True)
        assert (found is not None) == equal(wrong, ticks)
    return found is not None


def misplaced(data: st.DataObject) -> bool:
    """Files that were renamed, doubled, put over one another or lost: a feed has the prints of each day, or is none."""
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        catalog = Catalog(Path(folder))
        places = [catalog.path(contract, day) for contract, day in _kept()]
        for place, (content, _) in zip(places, _kept().values(), strict=True):
            put_at(place, content)
        for _ in range(data.draw(st.integers(0, 3))):
            found = sorted(path for path in catalog.root.rglob("*") if path.is_file())
            one = data.draw(st.sampled_from(found or places))
            other = data.draw(st.sampled_from([*places, places[0].with_name("20250113.parquet"), places[0].parent]))
            if one.is_file() and not other.is_dir():
                way = data.draw(st.sampled_from(["rename", "copy", "lose"]))
                if way != "lose":
                    put_at(other, one.read_bytes())
                if way != "copy" and one != other:
                    one.unlink()
        try:
            source = CatalogSource(catalog.root, ["ES"], DAY)
            whole = source.of({name: source.days(name) for name in source.contracts})
            read = {
                (name, day): ticks
                for name in whole.contracts
                for day in whole.days(name)
                for ticks in whole.accepted(name, [day]).ticks
            }
        except (InvalidInput, Unknown):
            return False
    assert read
    assert all(equal(ticks, _kept()[each][1]) for each, ticks in read.items())
    return True


def databento(data: st.DataObject) -> bool:
    """A file of Databento's with other bytes: it is refused in words, or has prints."""
    whole = dbn_bytes([trade(0), order(1, "F", "A"), trade(2, 5850.5, 2, "A"), trade(3, side="N")])
    path = _folder() / "es.dbn"
    path.write_bytes(_other_bytes(data, whole))
    try:
        return any(True for _ in DatabentoPrints([path], (), Decimal(100)).days())
    except (InvalidInput, Unknown, TooManyKeptOut):
        return False


def put_at(path: Path, content: bytes) -> None:
    """A file in a place, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _read(content: bytes, *, verified: bool) -> TickColumns | None:
    """The day of these bytes; None where it is refused."""
    catalog = Catalog(_folder() / "catalog")
    put(catalog, content)
    try:
        return catalog.read(CONTRACT, DAY, verified=verified)
    except (InvalidInput, Unknown):
        return None


def _other_bytes(data: st.DataObject, content: bytes) -> bytes:
    """The bytes cut, turned, doubled, put elsewhere, or those of another day."""
    place = data.draw(st.integers(0, len(content) - 1))
    way = data.draw(st.sampled_from(["cut", "begin", "turn", "insert", "drop", "join", "none"]))
    if way == "turn":
        many = data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(1, 255)), min_size=1))
        turned = bytearray(content)
        for each, mask in many:
            turned[each] ^= mask
        return bytes(turned)
    return {
        "cut": content[:place],
        "begin": content[place:],
        "insert": content[:place] + data.draw(st.binary(min_size=1, max_size=9)) + content[place:],
        "drop": content[:place] + content[place + 1 :],
        "join": content + content,
        "none": content,
    }[way]


@cache
def _made() -> "tempfile.TemporaryDirectory[str]":
    """It is gone with the process."""
    return tempfile.TemporaryDirectory(prefix="leadline-fuzz-")


def _folder() -> Path:
    return Path(_made().name)


@cache
def _kept() -> dict[tuple[ContractId, date], tuple[bytes, TickColumns]]:
    """Days of two contracts: their files and their prints."""
    catalog = Catalog(_folder() / "kept")
    found = {}
    for seed, (contract, day) in enumerate(product((CONTRACT, ContractId("ESM2025")), (DAY, DAY + timedelta(days=1)))):
        ticks = prints(_COUNT, contract=contract, day=day, seed=seed)
        catalog.write(contract, day, ticks)
        found[contract, day] = (catalog.path(contract, day).read_bytes(), ticks)
    return found


@cache
def _file() -> bytes:
    catalog = filled(_folder() / "whole", _COUNT)
    return catalog.path(CONTRACT, DAY).read_bytes()
