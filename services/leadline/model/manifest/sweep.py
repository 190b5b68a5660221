"""A sweep: manifests in many variants, each with other values in some of their fields.

A field is written `strategy.spec.bracket.stopTicks` or `account.spec.limits.dayLoss`; where there are several of a
kind, by name: `strategy/mes-orderflow.spec.bars`, `account/desk/paper.spec.startingBalance`.
"""

import re
from base64 import b32decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import prod
from typing import Any, Final

from pydantic import ValidationError

from leadline.model.errors import InvalidInput
from leadline.model.ids import derive
from leadline.model.manifest.manifest_fields import FieldPath, field_path, written_as
from leadline.model.manifest.manifests import (
    InvalidManifest,
    expected_instead,
    first_of,
    not_plain,
    parse_manifest,
)
from leadline.model.manifest.one_document import read_document
from leadline.model.manifest.pair_checks import pair_problems
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.sweep_spec import NUMBER, Sweep, SweptField, identity_of
from leadline.model.manifest.yaml_text import yaml_documents

_RANGE: Final = re.compile(rf"({NUMBER})\.\.({NUMBER})/({NUMBER})")


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant: its number, from 1, its fields with the values as manifests write them, and its manifests.

    Accounts and strategies are all of the study's, changed or not, in the order in which they were given.
    """

    number: int
    values: tuple[tuple[str, Any], ...]
    accounts: tuple[TradingAccount, ...]
    strategies: tuple[TradingStrategy, ...]


def variants_of(
    sweep: Sweep,
    accounts: Sequence[TradingAccount],
    strategies: Sequence[TradingStrategy],
    most: int | None = None,
) -> tuple[Variant, ...]:
    """The variants of a sweep over manifests, in its order, numbered from 1; with `most`, the first so many of them.

    `accounts` are complete: among them is that of each strategy. Raises InvalidManifest with everything that is wrong:
    a field that the manifests do not have, a value that its manifest refuses, a strategy that no longer fits its
    account. Nothing is left out.
    """
    asked = list(islice(_asked(sweep), most))
    names = dict.fromkeys(name for values in asked for name, _ in values)
    fields = {name: field_path(name, accounts, strategies) for name in names}
    _refuse_overlaps(asked, fields)
    make = _Maker(accounts, strategies, fields)
    found: list[Variant] = []
    problems: list[InvalidInput] = []
    numbers: dict[str, int] = {}
    for number, wanted in enumerate(asked, 1):
        values = [(name, written_as(value, fields[name])) for name, value in wanted]
        first = numbers.setdefault(identity_of(sorted((name, identity_of(value)) for name, value in values)), number)
        if first != number:
            problems.append(InvalidInput(f"variant {number}", _in_words(values), f"another one than variant {first}"))
            continue
        variant = make.variant(number, values)
        if isinstance(variant, Variant):
            found.append(variant)
        else:
            problems += variant
    if problems:
        raise InvalidManifest(first_of(problems, "sweep"))
    return tuple(found)


def changed(
    number: int,
    values: Mapping[str, Any],
    accounts: Sequence[TradingAccount],
    strategies: Sequence[TradingStrategy],
) -> Variant:
    """One variant of manifests by hand, with these values in its fields. Raises as `variants_of`."""
    fields = {name: field_path(name, accounts, strategies) for name in values}
    written = [(name, written_as(value, fields[name])) for name, value in values.items()]
    _refuse_overlaps([written], fields)
    found = _Maker(accounts, strategies, fields).variant(number, written)
    if isinstance(found, Variant):
        return found
    raise InvalidManifest(found)


def load_sweep(raw: bytes, name: str) -> Sweep:
    """The sweep of a YAML file of that name. Raises InvalidManifest with everything that is wrong with it."""
    return read_document(raw, name, Sweep, "`fields`, or `variants`")[0]


def swept_field(text: str) -> SweptField:
    """The field of an option `FIELD=VALUE,VALUE` or `FIELD=FROM..TO/STEP`; a value is written as in YAML.

    Raises InvalidInput.
    """
    field, equals, written = text.partition("=")
    if not equals or not written.strip():
        raise InvalidInput("--set", text, "FIELD=VALUE,VALUE or FIELD=FROM..TO/STEP")
    found = _RANGE.fullmatch(written)
    if found is not None:
        document: dict[str, Any] = {"field": field, "from": found[1], "to": found[2], "step": found[3]}
    else:
        try:
            (values,) = yaml_documents(f"[{written}]".encode())
        except (InvalidInput, ValueError):
            raise InvalidInput("--set", text, "values as YAML has them in a list, with commas between them") from None
        document = {"field": field, "values": values.value}
    if wrong := list(not_plain(document, "", nulls=True)):
        raise InvalidInput("--set", text, wrong[0].expected)
    try:
        return SweptField.from_manifest(document)
    except ValidationError as error:
        raise InvalidInput("--set", text, expected_instead(error.errors()[0])) from None


def shard_of(count: int, index: int, shards: int) -> range:
    """The places, from 0, of the variants that a shard has: so many in a row, and each variant in one shard.

    index: of the shard, from 0. Raises InvalidInput for a shard that is none of them.
    """
    if not 0 <= index < shards:
        raise InvalidInput("shard", f"{index + 1}/{shards}", f"a shard from 1/{shards} to {shards}/{shards}")
    return range(count * index // shards, count * (index + 1) // shards)


def _asked(sweep: Sweep) -> Iterator[list[tuple[str, Any]]]:
    """The fields and values of each variant, in order."""
    if sweep.variants:
        yield from (list(each.items()) for each in sweep.variants)
        return
    sizes = [len(each.all_values) for each in sweep.fields]
    combined = prod(sizes)
    places: Iterable[int] = range(combined)
    if sweep.random is not None:
        places = drawn(combined, sweep.random.count, sweep.random.seed)
    for place in places:
        values, rest = [], place
        for each in reversed(sweep.fields):
            rest, at = divmod(rest, len(each.all_values))
            values.append((each.field, each.all_values[at]))
        yield values[::-1]


def drawn(population: int, count: int, seed: int) -> list[int]:
    """`count` different numbers below `population`, in the order in which they are drawn, each as likely as another.

    The first steps of the shuffle of R. A. Fisher and F. Yates (R. Durstenfeld, Algorithm 235, 1964); what a step
    draws follows from the hash of seed and step.
    """
    moved: dict[int, int] = {}
    found = []
    for step in range(count):
        at = step + number_below(population - step, "draw", str(seed), str(step))
        found.append(moved.get(at, at))
        moved[at] = moved.get(step, step)
    return found


def number_below(bound: int, *parts: str) -> int:
    """A number from 0 to `bound` - 1 that follows from the hash of `parts`, the same on every machine."""
    return int.from_bytes(b32decode(derive(*parts).upper())) % bound


class _Maker:
    """Makes variants; a manifest that several of them have is checked once."""

    def __init__(
        self,
        accounts: Sequence[TradingAccount],
        strategies: Sequence[TradingStrategy],
        fields: dict[str, FieldPath],
    ) -> None:
        self._given: tuple[TradingAccount | TradingStrategy, ...] = (*accounts, *strategies)
        self._fields = fields
        self._documents = [each.to_manifest() for each in self._given]
        self._parsed: dict[str, Any] = {}
        self._pairs: dict[tuple[int, int], list[InvalidInput]] = {}

    def variant(self, number: int, values: Sequence[tuple[str, Any]]) -> Variant | list[InvalidInput]:
        """The variant, or everything that is wrong with it."""
        manifests, problems = [], list[InvalidInput]()
        for given, document in zip(self._given, self._documents, strict=True):
            own = [(self._fields[name], value) for name, value in values if self._fields[name].of(given)]
            found = self._manifest(given, document, own)
            if isinstance(found, list):
                problems += [
                    InvalidInput(f"{given.kind} {given.full_name}: {each.field}", each.value, each.expected)
                    for each in found
                ]
            else:
                manifests.append(found)
        if not problems:
            problems += self._misfits(manifests)
        if problems:
            where = f"variant {number} ({_in_words(values)})"
            return [InvalidInput(f"{where}: {each.field}", each.value, each.expected) for each in problems]
        accounts = tuple(each for each in manifests if isinstance(each, TradingAccount))
        strategies = tuple(each for each in manifests if isinstance(each, TradingStrategy))
        return Variant(number, tuple(values), accounts, strategies)

    def _manifest(
        self,
        given: TradingAccount | TradingStrategy,
        document: dict[str, Any],
        values: Sequence[tuple[FieldPath, Any]],
    ) -> TradingAccount | TradingStrategy | list[InvalidInput]:
        if not values:
            return given
        key = identity_of([given.kind, given.full_name, [[field.path, value] for field, value in values]])
        if key not in self._parsed:
            try:
                changed = document
                for field, value in values:
                    changed = field.set(changed, value)
            except InvalidInput as problem:
                self._parsed[key] = [problem]
            else:
                self._parsed[key] = parse_manifest(changed)
        found: TradingAccount | TradingStrategy | list[InvalidInput] = self._parsed[key]
        return found

    def _misfits(self, manifests: Sequence[TradingAccount | TradingStrategy]) -> list[InvalidInput]:
        accounts = {each.full_name: each for each in manifests if isinstance(each, TradingAccount)}
        found: list[InvalidInput] = []
        for strategy in manifests:
            if not isinstance(strategy, TradingStrategy):
                continue
            account = accounts.get(strategy.account_name)
            if account is None:
                expected = f"the name of an account that there is: {', '.join(accounts)}"
                wrong = [InvalidInput("spec.account", strategy.account_name, expected)]
            else:
                pair = (id(strategy), id(account))  # of manifests that are kept in `_parsed`, or given
                if pair not in self._pairs:
                    self._pairs[pair] = list(pair_problems(strategy, account))
                wrong = self._pairs[pair]
            where = f"TradingStrategy {strategy.full_name}"
            found += [InvalidInput(f"{where}: {each.field}", each.value, each.expected) for each in wrong]
        return found


def _refuse_overlaps(asked: Sequence[Sequence[tuple[str, Any]]], fields: dict[str, FieldPath]) -> None:
    """Raises InvalidInput for a field that a variant has twice, by two names or as a part of another one."""
    seen: set[tuple[str, ...]] = set()
    for values in asked:
        names = tuple(name for name, _ in values)
        if names in seen:
            continue
        seen.add(names)
        for one, other in combinations(names, 2):
            if fields[one].overlaps(fields[other]):
                raise InvalidInput("sweep", f"{one} and {other}", "fields of which none is another, or a part of it")


def _in_words(values: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}={shown_value(value)}" for name, value in values)


_WORDS: Final[dict[Any, str]] = {None: "left out", True: "true", False: "false"}


def shown_value(value: Any) -> str:
    """A value of a variant in a few words, as a manifest has it."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {shown_value(each)}' for key, each in value.items())}}}"
    return str(value)
