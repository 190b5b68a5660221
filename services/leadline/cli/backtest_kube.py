"""`leadline backtest --kube`: a Backtest of a file, submitted to a cluster, followed to its end, shown and fetched."""

import asyncio
import hashlib
import json
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from leadline.cli.options import Output
from leadline.cli.output import announce_written, print_json, print_table
from leadline.cli.places import check_place
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.manifest.backtest_spec import Backtest
from leadline.model.manifest.backtest_status import BacktestPhase, BacktestStatus
from leadline.model.manifest.specs import load_manifests
from leadline.model.manifest.status_spec import ConditionType, condition_of
from leadline.report.printable import printable
from leadline.views.kubectl import ClusterRefused, kubectl, kubectl_json

LOOK_SECONDS: Final = 1.0
FETCH_SECONDS: Final = 600
"""The life of the Pod that files are fetched from, if nobody ends it."""
_READY_SECONDS: Final = 120
_LABEL: Final = "leadline.dev/backtest"
_RESULTS: Final = "/results"
PACK: Final = """
import hashlib, sys, tarfile
digest, out = hashlib.sha256(), sys.stdout.buffer
class Out:
    def write(self, block):
        digest.update(block)
        return out.write(block)
with tarfile.open(fileobj=Out(), mode="w|") as archive:
    archive.add(sys.argv[1], ".")
out.write(digest.digest())
"""
"""Packs a folder in a Pod. The digest comes last: an archive that is cut between two files looks whole."""


class NotSucceeded(LeadlineError):
    """A backtest of the cluster has ended without a result, or does not begin."""


@dataclass(frozen=True, slots=True)
class KubeBacktest:
    """The options of a backtest in a cluster. `fetch` is the folder that its files are fetched into; None: they stay.

    namespace: None for that of the manifest, or of the kubeconfig's context.
    """

    files: Sequence[Path]
    namespace: str | None
    fetch: Path | None
    output: Output


def run_in_cluster(options: KubeBacktest) -> None:
    """Submit the Backtest of a file, wait for its end and print its summary.

    Raises InvalidInput for a file that has something else, ClusterRefused for what kubectl cannot do, NotSucceeded.
    """
    manifests = load_manifests(*options.files)
    others = [f"{each.kind} {each.full_name}" for each in manifests if not isinstance(each, Backtest)]
    if others or len(manifests) != 1:
        shown = ", ".join(others) or f"{len(manifests)} of them"
        raise InvalidInput("--file", shown, "one Backtest with --kube, and nothing beside it")
    if options.fetch is not None:
        check_place(options.fetch / "fetched", "--fetch")
        options.fetch.mkdir(parents=True, exist_ok=True)
    asyncio.run(_run(options))


async def _run(options: KubeBacktest) -> None:
    place = () if options.namespace is None else ("--namespace", options.namespace)
    (file,) = options.files
    applied = await kubectl_json("apply", "--filename", str(file), *place)
    name, namespace = applied["metadata"]["name"], applied["metadata"]["namespace"]
    status = await _followed(namespace, name)
    summary = status.summary
    assert summary is not None
    if options.output is Output.JSON:
        print_json({"backtest": f"{namespace}/{name}", **_plain(status)})
    else:
        _show(f"{namespace}/{name}", status)
    if options.fetch is not None:
        announce_written(await _fetched(namespace, name, summary.id, options.fetch))


async def _followed(namespace: str, name: str) -> BacktestStatus:
    """The status with the result, once it is there. Raises NotSucceeded."""
    said = ""
    while True:
        found = await kubectl_json("get", "backtest", name, "--namespace", namespace)
        status = BacktestStatus.from_manifest(found.get("status") or {})
        complete = condition_of(status.conditions, ConditionType.COMPLETE)
        message = "" if complete is None else complete.message
        if status.phase == BacktestPhase.SUCCEEDED:
            return status
        if status.phase == BacktestPhase.FAILED:
            raise NotSucceeded(f"Backtest {namespace}/{name} failed: {message}")
        if status.phase == BacktestPhase.REFUSED:
            raise NotSucceeded(
                f"Backtest {namespace}/{name} does not begin: {message}. It is in the cluster, and begins by itself "
                f"when that is mended; take it away with `kubectl delete bt {name} --namespace {namespace}`"
            )
        line = f"{status.phase or BacktestPhase.PENDING} {status.progress} {message}".rstrip()
        if line != said:
            print(f"leadline: {printable(line)}", file=sys.stderr, flush=True)
            said = line
        await asyncio.sleep(LOOK_SECONDS)


def _plain(status: BacktestStatus) -> dict[str, Any]:
    assert status.summary is not None
    summary = json.loads(status.summary.model_dump_json(exclude_none=True))
    return {"files": status.files, "summary": summary}


def _show(title: str, status: BacktestStatus) -> None:
    summary = status.summary
    assert summary is not None
    rows = [
        ("id", summary.id),
        ("days", summary.days),
        ("trades", summary.trades),
        (f"net, {summary.currency}", summary.net),
        ("Sharpe", summary.sharpe or "-"),
        (f"largest drawdown, {summary.currency}", summary.max_drawdown),
        ("digest", summary.digest),
        ("files", status.files),
    ]
    sweep = summary.sweep
    if sweep is not None:
        rows[1:1] = [("variants tried", sweep.tried), ("ranked by", sweep.rank_by)]
        rows.append(("deflated Sharpe ratio", sweep.probability or f"none: {sweep.warning}"))
    print_table(title, ("figure" if sweep is None else "figure of the best", "value"), rows, "")
    if sweep is not None:
        columns = ("variant", "values", "trades", "net", "Sharpe", "drawdown")
        best = [
            (each.number, each.values, each.trades, each.net, each.sharpe or "-", each.max_drawdown)
            for each in sweep.best
        ]
        print_table("the best variants", columns, best, "")


async def _fetched(namespace: str, name: str, result_id: str, root: Path) -> Path:
    """The folder into which the files of a result were fetched; one that is there already is this result, and stays.

    A claim cannot be read from outside of the cluster: a Pod that lives for that alone mounts it, and packs the folder.
    """
    folder = root / result_id
    if folder.exists():
        return folder
    pod = await kubectl_json("create", "--filename", "-", text=json.dumps(await _fetching_pod(namespace, name)))
    named, place = pod["metadata"]["name"], ("--namespace", namespace)
    try:
        ready = ("wait", f"pod/{named}", "--for=condition=Ready", f"--timeout={_READY_SECONDS}s")
        await kubectl(*ready, *place)
        with TemporaryDirectory(prefix=f".{result_id}-", dir=root) as scratch:
            archive, files = Path(scratch) / "files.tar", Path(scratch) / "files"
            with archive.open("wb") as into:
                command = ("python3", "-c", PACK, f"{_RESULTS}/{result_id}")
                await kubectl("exec", named, *place, "--", *command, into=into)
            unpack(archive, files)
            files.rename(folder)
    except (tarfile.TarError, EOFError) as error:
        raise ClusterRefused(f"what was fetched of {result_id} is not whole: {error}") from None
    finally:
        await kubectl("delete", f"pod/{named}", *place, "--wait=false")
    return folder


def unpack(packed: Path, folder: Path) -> None:
    """Unpack what `PACK` has packed. Raises EOFError for one that is cut or changed, TarError."""
    size = packed.stat().st_size - hashlib.sha256().digest_size
    with packed.open("r+b") as file:
        file.seek(max(0, size))
        said = file.read()
        file.truncate(max(0, size))
        file.seek(0)
        if hashlib.file_digest(file, "sha256").digest() != said:
            raise EOFError("its end is missing, or its bytes are others than those that were sent")
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(folder, filter="data")


async def _fetching_pod(namespace: str, name: str) -> dict[str, Any]:
    """A Pod as those of the backtest, which waits to be asked and can only read."""
    jobs = await kubectl_json("get", "jobs", "--namespace", namespace, "--selector", f"{_LABEL}={name}")
    if not jobs["items"]:
        raise ClusterRefused(f"the Jobs of Backtest {namespace}/{name} are gone: nobody knows how to reach its files")
    spec: dict[str, Any] = dict(jobs["items"][0]["spec"]["template"]["spec"])
    (container,) = spec["containers"]
    results = [mount for mount in container["volumeMounts"] if mount["mountPath"] == _RESULTS]
    if not results:
        expected = "results on a claim: those in a bucket are there for every program that reads it"
        raise InvalidInput("--fetch", f"Backtest {namespace}/{name}", expected)
    kept = {key: container[key] for key in ("name", "image", "imagePullPolicy", "securityContext") if key in container}
    spec["containers"] = [
        {
            **kept,
            "command": ["python3", "-c", f"import time; time.sleep({FETCH_SECONDS})"],
            "volumeMounts": [{**mount, "readOnly": True} for mount in results],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        }
    ]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] in {mount["name"] for mount in results}]
    spec |= {"activeDeadlineSeconds": FETCH_SECONDS, "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(namespace, jobs["items"][0]["metadata"]),
        "spec": spec,
    }


def _metadata(namespace: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """It goes with the backtest, if nobody ends it before."""
    owners = [{**each, "controller": False, "blockOwnerDeletion": False} for each in job["ownerReferences"]]
    return {"generateName": f"{job['name'][:50]}-fetch-", "namespace": namespace, "ownerReferences": owners}
