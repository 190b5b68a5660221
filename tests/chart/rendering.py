"""The charts, rendered without a cluster, and the golden files: `python -m tests.chart.rendering --update`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from helm_python import Chart

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "helm" / "leadline"
CRDS_CHART: Final = ROOT / "helm" / "leadline-crds"
GOLDEN: Final = Path(__file__).parent / "golden"
RELEASE: Final = "leadline"
NAMESPACE: Final = "leadline-system"

Document = dict[str, Any]

_Loader: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def cases() -> list[str]:
    """Names of the sets of values that the chart keeps for its checks."""
    return sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))


def values_of(case: str) -> dict[str, Any]:
    """One of these sets."""
    found: dict[str, Any] = yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text()) or {}
    return found


def render(values: dict[str, Any] | None = None, *, namespace: str = NAMESPACE, chart: Path = CHART) -> list[Document]:
    """Every object that the chart makes of these values, in the order of the templates."""
    with Chart.load(chart) as loaded:
        templates = loaded.render(values or {}, name=RELEASE, namespace=namespace)
    return [
        document
        for name, text in sorted(templates.items())
        if not name.endswith("NOTES.txt")
        for document in yaml.load_all(text, Loader=_Loader)
        if document
    ]


def notes(values: dict[str, Any] | None = None) -> str:
    """What Helm says after an install."""
    with Chart.load(CHART) as loaded:
        return loaded.render(values or {}, name=RELEASE, namespace=NAMESPACE)["leadline/templates/NOTES.txt"]


def one(documents: list[Document], kind: str, name: str, namespace: str | None = None) -> Document:
    """The one object of a kind and name. Fails when there is none, or more than one."""
    found = [
        document
        for document in documents
        if (document["kind"], document["metadata"]["name"]) == (kind, name)
        and namespace in (None, document["metadata"].get("namespace"))
    ]
    assert len(found) == 1, f"{len(found)} {kind} {name} {namespace or ''}"
    return found[0]


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Every Pod that the objects make, as a Pod, with a name for it."""
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document
        template = document.get("spec", {}).get("template") if isinstance(document.get("spec"), dict) else None
        if template is not None:
            metadata = {**template.get("metadata", {}), "name": document["metadata"]["name"]}
            metadata["namespace"] = document["metadata"]["namespace"]
            claims = [
                {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
                for claim in document["spec"].get("volumeClaimTemplates", [])
            ]
            spec = {**template["spec"], "volumes": [*template["spec"]["volumes"], *claims]}
            yield name, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def images(documents: list[Document]) -> list[str]:
    """The images of all containers, each once."""
    return sorted(
        {
            container["image"]
            for _, pod in pods(documents)
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        }
    )


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a changed line of a settings file is a changed line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def golden_text(case: str) -> str:
    """What the chart makes of a set of values, as a golden file has it: what is random is left out."""
    documents = render(values_of(case))
    for document in documents:
        if document["kind"] == "Secret":
            document["data"] = dict.fromkeys(document["data"], "(left out)")
    return "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)
        for document in documents
    )


def main() -> int:
    """Compare the golden files with the chart, or write them; return the exit status."""
    parser = argparse.ArgumentParser(description="Golden files of the chart.")
    parser.add_argument("--update", action="store_true", help="write the golden files instead of comparing them")
    update: bool = parser.parse_args().update
    stale = 0
    for case in cases():
        path, text = GOLDEN / f"{case}.yaml", golden_text(case)
        if not path.exists() or path.read_text() != text:
            stale += 1
            if update:
                path.write_text(text)
            else:
                sys.stderr.write(f"{path.relative_to(ROOT)} is not what the chart makes\n")
    return 0 if update else min(stale, 1)


if __name__ == "__main__":
    raise SystemExit(main())
