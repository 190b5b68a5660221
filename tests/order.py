"""Which tests stay together in one process, and which run first."""

from pathlib import Path

# Rooms whose tests share clusters, images or a run: they stay together in one process, so that each is made once.
TOGETHER = {"crds": "cluster", "image": "cluster", "kube": "cluster", "operator": "operator", "system": "system"}
# Those that take minutes, the longest first, so that none of them is still at work when all others have ended.
LONGEST = (
    "operator",
    "cluster",
    "tests/plan/test_stack.py",
    "tests/chart/test_cluster.py",
    "system",
    "tests/execution/test_processes.py",
    "tests/plan/test_left_behind.py",
    "tests/cli/test_push.py",
    "tests/ingestion/test_service.py",
    "tests/runtime/test_bus.py",
    "tests/plan/test_pods.py",
    "tests/analysis/test_service.py",
    "tests/venue/test_service.py",
    "tests/recorder/test_service.py",
)


def group_of(nodeid: str) -> str:
    """The tests that a test stays together with, from its id: those of its file, or of some rooms."""
    file = nodeid.partition("::")[0]
    return TOGETHER.get(Path(file).parts[1], file)
