"""A sweep: every variant of its manifests over the same prints, in a folder that it goes on in."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from leadline.backtest.code import code_of
from leadline.backtest.days import backtest_days
from leadline.backtest.identity import data_of
from leadline.backtest.prints import Prints
from leadline.model.ids import AccountId, derive
from leadline.model.manifest.own_markets import in_force
from leadline.model.manifest.sweep import Variant
from leadline.study.deflated import Deflated, deflated
from leadline.study.engine import Study, run_study
from leadline.study.kept import KeptSweep
from leadline.study.parts import refuse_other_markets
from leadline.study.rows import AccountRow, FilledOn, VariantRow, better_first, filled_on_of, row_of

ID_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep with the rows of its finished variants, by number.

    `variants` is the number of all variants; where rows are missing, other shards have them still to do.
    """

    id: str
    folder: Path
    variants: int
    rows: tuple[VariantRow, ...]

    @property
    def halted(self) -> tuple[VariantRow, ...]:
        """The variants whose account was halted."""
        return tuple(row for row in self.rows if row.halted)

    @property
    def filled_on(self) -> FilledOn:
        """See `BacktestResult`, of all variants."""
        return filled_on_of(row.filled_on for row in self.rows)

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """The accounts of the variants, in order."""
        return tuple(dict.fromkeys(each.account for row in self.rows for each in row.accounts))

    def ranked(self, account: AccountId, figure: str) -> list[tuple[VariantRow, AccountRow]]:
        """The rows of an account, the best by a figure first, those that are as good by number."""
        found = [(row, each) for row in self.rows for each in row.accounts if each.account == account]
        return sorted(found, key=lambda pair: (better_first(figure, pair[1].figure(figure)), pair[0].number))

    def deflated(self, account: AccountId, figure: str) -> Deflated:
        """The deflated Sharpe ratio of the best variant by a figure, among all variants, also those of other shards."""
        ranked = self.ranked(account, figure)
        trials = [each.returns for _, each in ranked] + [None] * (self.variants - len(ranked))
        return deflated(ranked[0][1].returns if ranked else None, trials)


@dataclass(frozen=True, slots=True)
class Source:
    """The prints of a sweep and its range, both as `run_backtest` has them; feed and settings as `data_of`."""

    prints: Prints
    first: date | None
    last: date | None
    feed: str
    settings: Mapping[str, int]


def run_sweep(
    variants: Sequence[Variant],
    part: range,
    source: Source,
    workers: int,
    root: Path,
    told: Callable[[str], None],
) -> SweepResult:
    """Run those variants of a part that no earlier run has finished, and read what is finished of all of them.

    part: places of the variants, from 0, as `shard_of` gives them. root: the folder of all sweeps. The rows are the
    same whatever the interruptions, the number of workers and the shards. Raises InvalidInput where variants differ in
    their market or a kept file is damaged, and as `run_study`.
    """
    refuse_other_markets(variants)
    definition = _definition(variants, source)
    sweep_id = derive("sweep", json.dumps(definition, sort_keys=True))[:ID_LENGTH]
    kept = KeptSweep(root, sweep_id, definition)
    mine = [variants[place] for place in part]
    finished = kept.rows(each.number for each in mine)
    missing = [each for each in mine if each.number not in finished]
    if finished:
        told(f"{len(finished)} of {len(mine)} variants are finished already")
    for _, row in run_study(Study(source.prints, source.first, source.last, workers, row_of), missing, told):
        kept.write(row)
    rows = kept.rows(each.number for each in variants)
    return SweepResult(sweep_id, kept.folder, len(variants), tuple(rows[number] for number in sorted(rows)))


def _definition(variants: Sequence[Variant], source: Source) -> dict[str, Any]:
    """Everything that the rows follow from: the code, the range, the prints and the manifests of every variant.

    Raises as `backtest_days` for the range.
    """
    longest = max(variants, key=lambda each: max(one.spec.longest_history for one in each.strategies))
    days = backtest_days(source.prints, longest.strategies, source.first, source.last)
    code = code_of([strategy for each in variants for strategy in each.strategies])
    return {
        # Not the commit: an installed package has none, and is the same code.
        "code": {"version": code.version, "digest": code.digest},
        "range": {
            "first": days.traded[0].day.isoformat(),
            "last": days.traded[-1].day.isoformat(),
            "from": "" if source.first is None else source.first.isoformat(),
        },
        "data": data_of(source.feed, source.settings, source.prints, days).document(),
        "instruments": in_force().digest(),
        "variants": [
            {"number": each.number, "values": dict(each.values), "manifests": _manifests_hash(each)}
            for each in variants
        ],
    }


def _manifests_hash(variant: Variant) -> str:
    manifests = (*variant.accounts, *variant.strategies)
    return derive("manifests", *(json.dumps(each.to_manifest(), sort_keys=True) for each in manifests))
