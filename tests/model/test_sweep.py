"""Sweeps: fields by name, the variants that follow from them, and what is refused before anything begins."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from leadline.model.errors import InvalidInput
from leadline.model.manifest.manifests import expected_instead
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.specs import InvalidManifest, TradingAccount, TradingStrategy, load_manifests
from leadline.model.manifest.sweep import Variant, drawn, load_sweep, shard_of, swept_field, variants_of
from leadline.model.manifest.sweep_spec import Sweep

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mes-orderflow.yaml"
STOP = "strategy.spec.bracket.stopTicks"


def swept(*fields: Any, **others: Any) -> tuple[Variant, ...]:
    manifests = load_manifests(EXAMPLE)
    accounts = [each for each in manifests if isinstance(each, TradingAccount)]
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]
    document = {"fields": list(fields), **others} if fields else others
    return variants_of(Sweep.from_manifest(document), accounts, strategies)


def field(name: str, *values: Any) -> dict[str, Any]:
    return {"field": name, "values": list(values)}


def expected(document: Any, model: type[SpecModel] = Sweep) -> str:
    with pytest.raises(ValidationError) as refused:
        model.from_manifest(document)
    return expected_instead(refused.value.errors()[0])


def test_every_combination_is_a_variant_with_the_last_field_changing_first() -> None:
    found = swept(
        field(STOP, 12, 16), {"field": "account.spec.limits.dayLoss", "from": 300, "to": "500.5", "step": 100}
    )
    assert [(each.number, each.values) for each in found] == [
        (1 + 3 * row + column, ((STOP, stop), ("account.spec.limits.dayLoss", loss)))
        for row, stop in enumerate((12, 16))
        for column, loss in enumerate(("300", "400", "500"))
    ]
    last = found[-1]
    assert last.strategies[0].spec.bracket is not None
    assert last.strategies[0].spec.bracket.stop_ticks == 16
    assert last.accounts[0].spec.limits.day_loss == 500


def test_a_variant_is_what_the_manifest_with_these_values_would_be() -> None:
    text = EXAMPLE.read_text().replace("bars: 5m", "bars: 15m").replace("12:00", "11:30")
    (found,) = swept(field("strategy.spec.bars", "15m"), field("strategy.spec.entries.blocks[0].from", "11:30"))
    assert [*found.strategies, *found.accounts] == load_manifests(text)


def test_a_null_leaves_a_field_out() -> None:
    without, with_it = swept(field("account.spec.limits.dayLoss", None, 150.5))
    assert without.accounts[0].spec.limits.day_loss is None
    assert str(with_it.accounts[0].spec.limits.day_loss) == "150.5"


def test_a_list_of_variants_may_change_other_fields_in_each() -> None:
    one, other = swept(
        variants=[
            {"strategy.spec.sizing.mode": "Fixed", "strategy.spec.sizing.size": 1},
            {"account.spec.commission.MES": 0.9},
        ]
    )
    assert one.strategies[0].spec.sizing.size == 1
    assert other.strategies[0].spec.sizing.mode == "Tiered"
    assert str(other.accounts[0].spec.commission["MES"]) == "0.9"


@pytest.mark.parametrize(
    "document",
    [
        {"fields": [{"field": STOP, "from": 8, "to": "20.5", "step": 4}, field("strategy.spec.history", 5, 6, 7)]},
        {"fields": [field(STOP, *range(1, 21))], "random": {"count": 7, "seed": 1}},
        {"variants": [{STOP: 8}, {STOP: 12}, {"strategy.spec.history": 5}]},
    ],
)
def test_the_size_of_a_sweep_is_the_number_of_its_variants_and_the_first_of_them_are_as_among_all(
    document: dict[str, Any],
) -> None:
    manifests = load_manifests(EXAMPLE)
    accounts = [each for each in manifests if isinstance(each, TradingAccount)]
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]
    sweep = Sweep.from_manifest(document)
    every = variants_of(sweep, accounts, strategies)
    assert sweep.size == len(every)
    assert variants_of(sweep, accounts, strategies, 2) == every[:2]


def test_what_is_wrong_after_the_first_variants_is_not_looked_at_with_them() -> None:
    manifests = load_manifests(EXAMPLE)
    accounts = [each for each in manifests if isinstance(each, TradingAccount)]
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]
    sweep = Sweep.from_manifest({"fields": [field(STOP, 8, 12, 0)]})
    assert len(variants_of(sweep, accounts, strategies, 2)) == 2
    with pytest.raises(InvalidManifest, match="variant 3"):
        variants_of(sweep, accounts, strategies, 3)


def test_a_draw_takes_each_combination_once_at_most_and_the_same_ones_everywhere() -> None:
    whole = {each.values for each in swept(field(STOP, *range(1, 21)), field("strategy.spec.history", *range(5, 10)))}
    found = swept(
        field(STOP, *range(1, 21)),
        field("strategy.spec.history", *range(5, 10)),
        random={"count": 10, "seed": 7},
    )
    assert len({each.values for each in found} & whole) == 10
    # Worked out once: another machine that drew other ones would not finish the same sweep.
    assert [tuple(value for _, value in each.values) for each in found[:3]] == DRAWN
    assert sorted(drawn(100, 100, 7)) == list(range(100))
    assert drawn(10**18, 3, 7)[:2] == drawn(10**18, 2, 7)


DRAWN = [(17, 7), (17, 5), (1, 7)]


def test_each_variant_is_in_one_shard() -> None:
    for count in (1, 7, 64):
        parts = [shard_of(count, index, 5) for index in range(5)]
        assert [place for part in parts for place in part] == list(range(count))
    with pytest.raises(InvalidInput, match=r"shard: got '6/5', expected a shard from 1/5 to 5/5"):
        shard_of(64, 5, 5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("spec.bracket.stopTicks", "expected strategy.spec.FIELD or account.spec.FIELD"),
        ("strategy.metadata.name", "expected strategy.spec.FIELD"),
        ("strategy.spec.bracket.stopTick", "did you mean stopTicks"),
        ("strategy.spec.bars.length", "no length: what stands before it has no fields"),
        ("strategy.spec.bars[0]", r"no place \[0\]: what stands before it is no list"),
        ("account/desk.spec.startingBalance", "the name of a TradingAccount that there is: default/paper"),
    ],
)
def test_a_field_that_there_is_not_is_refused(name: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        swept(field(name, 1))


def test_a_field_of_several_manifests_is_named_by_its_owner() -> None:
    strategy, account = load_manifests(EXAMPLE)
    assert isinstance(strategy, TradingStrategy)
    assert isinstance(account, TradingAccount)
    second = strategy.metadata.model_copy(update={"name": "second"})
    strategies, accounts = [strategy, strategy.model_copy(update={"metadata": second})], [account]
    with pytest.raises(InvalidInput, match=r"one of strategy/default/mes-orderflow.spec.bars, strategy/default/second"):
        variants_of(Sweep.from_manifest({"fields": [field("strategy.spec.bars", "1m")]}), accounts, strategies)
    sweep = Sweep.from_manifest({"fields": [field("strategy/second.spec.bars", "1m")]})
    (found,) = variants_of(sweep, accounts, strategies)
    assert [each.spec.bars for each in found.strategies] == ["5m", "1m"]


def test_all_values_that_a_manifest_refuses_are_told_at_once() -> None:
    with pytest.raises(InvalidManifest) as refused:
        swept(field(STOP, 1, 0, -2), field("strategy.spec.entries.blocks[1].to", "12:00"))
    found = [(each.field.partition(": ")[0], each.expected) for each in refused.value.problems]
    assert found == [
        (f"variant {number} ({STOP}={value}, strategy.spec.entries.blocks[1].to=12:00)", "a place in a list of 1")
        for number, value in ((1, 1), (2, 0), (3, -2))
    ]
    with pytest.raises(InvalidManifest, match=r"variant 2 \(.*=0\): .*spec.bracket.stopTicks: got 0, expected 1 or"):
        swept(field(STOP, 1, 0))


def test_a_strategy_that_no_longer_fits_its_account_is_refused() -> None:
    with pytest.raises(InvalidManifest, match=r"spec.sizing.mode: got 'Tiered', expected Fixed or RiskPercent"):
        swept(field("account.spec.tiers", []))


def test_a_field_twice_and_a_variant_twice_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"fields of which none is another, or a part of it"):
        swept(field("strategy.spec.bracket", None), field(STOP, 3))
    with pytest.raises(InvalidManifest, match=r"variant 2: got 'account.spec.limits.dayLoss=300', expected another"):
        swept(field("account.spec.limits.dayLoss", "300", 300))


def test_a_sweep_says_what_it_wants() -> None:
    wide = {"field": STOP, "from": 1, "to": 900, "step": 1}
    other = {**wide, "field": "strategy.spec.bracket.targetTicks"}
    assert expected({"fields": []}) == "either fields or variants, one or more"
    assert expected({"fields": [field(STOP, 1)], "variants": [{STOP: 1}]}) == "either fields or variants, one or more"
    assert expected({"fields": [wide, other]}) == "at most 10000 combinations, or a random draw among the 810000"
    assert expected({"fields": [field(STOP, 1, 2)], "random": {"count": 3, "seed": 1}}).startswith("a random count")
    assert expected({"variants": [{STOP: 1}], "random": {"count": 3, "seed": 1}}).startswith("fields beside random")
    assert expected({"fields": [{**wide, "values": [1]}]}).startswith("either values, one or more, or from")
    assert expected({"fields": [{**wide, "step": 0}]}) == "a step above 0"
    assert expected({"fields": [{**wide, "to": 0}]}) == "a range whose `to` is not below its `from`"
    assert expected({"fields": [{**wide, "step": 0.1}]}).startswith("a whole number, or a decimal one in quotes")
    assert expected({"fields": [{**wide, "step": "0.001"}]}) == "a range of at most 1000 values"
    assert expected({"fields": [field(STOP, 1, 1)]}) == "each value once"


def test_a_file_is_read_with_the_lines_of_what_is_wrong() -> None:
    text = f"fields:\n- field: {STOP}\n  values: [12, 16]\n"
    assert load_sweep(text.encode(), "sweep.yaml") == Sweep.from_manifest({"fields": [field(STOP, 12, 16)]})
    with pytest.raises(
        InvalidManifest, match=r"sweep.yaml:3: fields\[0\].value: got \[12, 16\], expected no such field"
    ):
        load_sweep(text.replace("values", "value").encode(), "sweep.yaml")
    with pytest.raises(InvalidManifest, match=r"sweep.yaml:1: got .*, expected either fields or variants"):
        load_sweep(b"fields: []", "sweep.yaml")


@pytest.mark.parametrize(
    ("text", "document"),
    [
        (f"{STOP}=12,16", field(STOP, 12, 16)),
        (f"{STOP}=12..20/4", {"field": STOP, "from": 12, "to": 20, "step": 4}),
        ("strategy.spec.bars=1m,5m", field("strategy.spec.bars", "1m", "5m")),
        ("strategy.spec.bracket={stopTicks: 4},null", field("strategy.spec.bracket", {"stopTicks": 4}, None)),
        ("strategy.spec.entries.blocks[0].from=11:00", field("strategy.spec.entries.blocks[0].from", "11:00")),
    ],
)
def test_an_option_is_a_field_with_its_values(text: str, document: dict[str, Any]) -> None:
    assert swept_field(text) == Sweep.from_manifest({"fields": [document]}).fields[0]


@pytest.mark.parametrize("text", [STOP, f"{STOP}=", f"{STOP}=[", f"{STOP}=1]x", f"{STOP}=4..1/1", f"{STOP}=.nan"])
def test_an_option_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^--set: got"):
        swept_field(text)
