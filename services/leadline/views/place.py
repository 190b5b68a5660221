"""Where a stack is looked for. Nothing heavy is loaded here: the help of a command reads it, too."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is looked for: in a data directory, or with `kube` in a namespace of a cluster.

    `namespace` None is the one of the kubeconfig's context.
    """

    data_dir: Path
    kube: bool = False
    namespace: str | None = None
