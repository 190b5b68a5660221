"""The bars of a day as a few columns, on their way to another process: each by itself would take seven arrays."""

import pickle
from collections.abc import Sequence
from dataclasses import fields
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

import numpy as np

from leadline.backtest.names import TAPE
from leadline.backtest.work import Bars
from leadline.model.bars import Bar, BarKey, BarMessage, FootprintRows
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of

_KEY = attrgetter(*(each.name for each in fields(BarKey)))
_NUMBERS = attrgetter(*(each.name for each in fields(Bar) if each.name not in {"key", "rows", "revision", "gap"}))
_COLUMNS = tuple(each.name for each in fields(FootprintRows))


def packed(bars: Bars) -> bytes:
    """The bars of a day of a contract, without messages that have none: to other days they are history."""
    return pickle.dumps({series: _packed(messages) for series, messages in bars.items()}, protocol=5)


def unpacked(contract: ContractId, data: bytes) -> Bars:
    """The messages of these bars again."""
    return {series: _unpacked(contract, *each) for series, each in pickle.loads(data).items()}  # noqa: S301 - our own


def _packed(messages: Sequence[BarMessage]) -> tuple[Any, ...]:
    told = [(message, message.bar) for message in messages if message.bar is not None]
    rows = [bar.rows for _, bar in told]
    assert not any(bar.revision or bar.gap for _, bar in told), "a bar of whole days is not revised and has no gap"
    return (
        [(message.progress_ns, message.quiet_until_ns) for message, _ in told],
        [_KEY(bar.key) for _, bar in told],
        [_NUMBERS(bar) for _, bar in told],
        list(map(len, rows)),
        [np.concatenate([getattr(each, name) for each in rows]) if rows else () for name in _COLUMNS],
    )


def _unpacked(
    contract: ContractId,
    promised: Sequence[tuple[int, int]],
    keys: Sequence[tuple[Any, ...]],
    numbers: Sequence[tuple[Any, ...]],
    lengths: Sequence[int],
    columns: Sequence[Any],
) -> list[BarMessage]:
    venue = instrument_of(contract).venue
    ends = pairwise(accumulate(lengths, initial=0))
    return [
        BarMessage(TAPE, venue, contract, progress_ns, False, bar, None, quiet_until_ns)
        for (progress_ns, quiet_until_ns), key, values, (start, stop) in zip(promised, keys, numbers, ends, strict=True)
        for rows in (FootprintRows(*(column[start:stop] for column in columns)),)
        for bar in (Bar(*(BarKey(*key), *values, rows)),)
    ]
