"""The analysis service's answers about itself, as messages."""

from collections.abc import Iterable
from typing import Any

from leadline.analysis.v1 import analysis_pb2 as pb
from leadline.nodes.base import Detector


def detectors_to_proto(detectors: Iterable[Detector[Any, Any]]) -> list[pb.Detector]:
    """Every detector with the thresholds in force, by their names in the manifest."""
    return [
        pb.Detector(
            name=detector.name,
            enabled=detector.params.enabled,
            patterns=[pattern.value for pattern in detector.patterns],
            thresholds=detector.thresholds(),
        )
        for detector in detectors
    ]
