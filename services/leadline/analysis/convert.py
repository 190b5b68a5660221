"""What the analysis service tells about itself, as messages."""

from decimal import Decimal
from fractions import Fraction

from leadline.analysis.settings import DetectorSettings
from leadline.analysis.v1 import analysis_pb2 as pb
from leadline.model.signals import Pattern


def detectors_to_proto(settings: DetectorSettings) -> list[pb.Detector]:
    """Every detector with the thresholds in force, by their names in the manifest."""
    imbalance, stacked, exhaustion = settings.imbalance, settings.stacked, settings.exhaustion
    absorption, divergence, unfinished = settings.absorption, settings.divergence, settings.unfinished
    return [
        _detector(
            "imbalance",
            enabled=imbalance.enabled,
            patterns=(Pattern.BUY_IMBALANCE, Pattern.SELL_IMBALANCE),
            ratio=imbalance.ratio,
            minVolume=imbalance.min_volume,
            zero=imbalance.zero.value,
        ),
        _detector(
            "stacked",
            enabled=stacked.enabled,
            patterns=(Pattern.STACKED_BUY_IMBALANCE, Pattern.STACKED_SELL_IMBALANCE),
            levels=stacked.levels,
        ),
        _detector(
            "exhaustion",
            enabled=exhaustion.enabled,
            patterns=(Pattern.BUYING_EXHAUSTION, Pattern.SELLING_EXHAUSTION),
            levels=exhaustion.levels,
            within=exhaustion.within,
            drop=exhaustion.drop,
            minVolume=exhaustion.min_volume,
        ),
        _detector(
            "absorption",
            enabled=absorption.enabled,
            patterns=(Pattern.BUYING_ABSORPTION, Pattern.SELLING_ABSORPTION),
            levels=absorption.levels,
            share=absorption.share,
            minVolume=absorption.min_volume,
        ),
        _detector(
            "divergence",
            enabled=divergence.enabled,
            patterns=(Pattern.BULLISH_DELTA_DIVERGENCE, Pattern.BEARISH_DELTA_DIVERGENCE),
            lookback=divergence.lookback,
            source=divergence.source.value,
        ),
        _detector(
            "unfinished",
            enabled=unfinished.enabled,
            patterns=(Pattern.UNFINISHED_HIGH, Pattern.UNFINISHED_LOW, Pattern.UNFINISHED_REVISITED),
            keep=unfinished.keep,
            fullVolume=unfinished.full_volume,
        ),
    ]


def _detector(
    name: str, *, enabled: bool, patterns: tuple[Pattern, ...], **thresholds: int | str | Fraction
) -> pb.Detector:
    return pb.Detector(
        name=name,
        enabled=enabled,
        patterns=[pattern.value for pattern in patterns],
        thresholds={key: _text(value) for key, value in thresholds.items()},
    )


def _text(value: int | str | Fraction) -> str:
    """Thresholds came from decimals, so the quotient is exact."""
    return str(Decimal(value.numerator) / value.denominator) if isinstance(value, Fraction) else str(value)
