"""Manifests and files of instruments with anything changed: a plan, or sentences that say what is wrong and where."""

import functools
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import strategies as st

from leadline.cli.manifests import plan_of
from leadline.cli.options import PlanOptions
from leadline.model.errors import InvalidInput, error_text
from leadline.model.manifest.manifests import MOST_PROBLEMS
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.specs import InvalidManifest
from leadline.plan.plan import plan_document
from tests.fuzz.values import change, copied
from tests.own_markets import BITCOIN, ETHER, EVENINGS

LONGEST_SENTENCE: Final = 2_000
MOST_CHANGES: Final = 3

STRATEGY: Final[dict[str, Any]] = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "TradingStrategy",
    "metadata": {
        "name": "flow",
        "namespace": "desk",
        "labels": {"team": "a"},
        "annotations": {"note": "the first one"},
    },
    "spec": {
        "state": "Running",
        "mode": "Paper",
        "account": {"name": "paper", "namespace": "desk"},
        "instrument": "MES",
        "session": {"open": "09:30", "close": "16:00", "zone": "America/New_York"},
        "bars": "5m",
        "ticksPerRow": 1,
        "history": 5,
        "strategy": {
            "name": "OrderFlow",
            "detectors": {"imbalance": {"minVolume": 5}, "absorption": {"minVolume": 30}},
        },
        "entries": {
            "type": "Market",
            "afterOpen": "5m",
            "beforeClose": "15m",
            "blocks": [{"from": "12:00", "to": "13:00"}],
            "news": [{"at": "2025-06-11T12:30:00Z", "name": "CPI", "before": "15m", "after": "15m"}],
        },
        "flattenBeforeClose": "5m",
        "sizing": {"mode": "Tiered", "maxSize": 2, "modifiers": ["Stacked"], "respectDayBudget": True},
        "bracket": {"stopTicks": 16, "targetTicks": 24},
        "risk": {"maxPosition": 2, "maxTradesPerDay": 5, "dayLoss": "200", "maxOrdersPerSecond": 5},
        "updatePolicy": "WhenFlat",
        "suspendPolicy": {"workingOrders": "Cancel", "positions": "Keep"},
        "deletionPolicy": {"positions": "Refuse", "timeoutSeconds": 120},
        "image": "registry.example/leadline:1",
        "resources": {"requests": {"cpu": "100m"}},
        "restartNonce": 1,
    },
}
ACCOUNT: Final[dict[str, Any]] = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "TradingAccount",
    "metadata": {"name": "paper", "namespace": "desk"},
    "spec": {
        "environment": "Paper",
        "venue": "paper",
        "paper": {"fillRule": "Pessimistic", "slippageTicks": 1, "latency": "50ms"},
        "currency": "USD",
        "startingBalance": "2500",
        "tiers": [
            {"from": "0", "execute": "MES", "minSize": 1, "maxSize": 2, "dayLoss": "100"},
            {"from": "25000", "execute": "ES", "minSize": 1, "maxSize": 1},
        ],
        "limits": {"dayLoss": "300", "dayTarget": "500", "maxPosition": 2, "maxOpenTrades": 1},
        "commission": {"MES": "0.62"},
        "marginLimits": {"MES": "2500"},
        "overnightGapTicks": {"MES": 200},
        "allowedNamespaces": ["other"],
    },
}
OWN: Final[dict[str, Any]] = {
    "instruments": {
        "ETHUSDT": ETHER,
        "XBT": BITCOIN,
        "XF": {
            **ETHER,
            "kind": "future",
            "roll": "venue",
            "calendar": "evenings",
            "last_days": {"M2025": "2025-06-20"},
            "sessions": {"rth": {"open": "18:00", "close": "06:00", "zone": "UTC"}},
            "profile": {
                "imbalance_min": 5,
                "absorption_min": 30,
                "typical_bar_volume": 500,
                "stop_ticks": 16,
                "target_ticks": 24,
            },
        },
    },
    "calendars": {
        "evenings": {
            **EVENINGS,
            "closed": {"2025-12-25": "Christmas"},
            "early_close": {"13:00": {"2025-12-24": "Christmas Eve"}},
            "former_close": {"2021-01-01": "17:00"},
        }
    },
}


class _Dumper(yaml.SafeDumper):
    """YAML without aliases: what stands twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


@functools.cache
def folder() -> Path:
    """Where the files of this process lie."""
    made = tempfile.TemporaryDirectory(prefix="leadline-fuzz-")
    _kept.append(made)
    return Path(made.name)


_kept: Final[list[Any]] = []


def manifests(data: st.DataObject) -> bool:
    """A strategy and its account with up to three things changed. Whether they have a plan."""
    documents = [copied(STRATEGY), copied(ACCOUNT)]
    for _ in range(data.draw(st.integers(1, MOST_CHANGES), "changes")):
        change(data, documents)
    return planned(as_text(documents))


def texts(data: st.DataObject) -> bool:
    """The text of manifests, with characters and lines changed. Whether it has a plan."""
    return planned(cut_up(data, as_text([STRATEGY, ACCOUNT])))


def own_instruments(data: st.DataObject) -> bool:
    """A file of instruments and calendars with up to three things changed. Whether it was taken."""
    rows = copied(OWN)
    for _ in range(data.draw(st.integers(1, MOST_CHANGES), "changes")):
        change(data, rows)
    return own_taken(as_text([rows]))


def own_texts(data: st.DataObject) -> bool:
    """The text of such a file, with characters and lines changed."""
    return own_taken(cut_up(data, as_text([OWN])))


def as_text(documents: list[Any]) -> bytes:
    """Documents as one text."""
    return yaml.dump_all(documents, Dumper=_Dumper, allow_unicode=True).encode()


def cut_up(data: st.DataObject, text: bytes) -> bytes:
    """A text with pieces taken out, put in, doubled and moved."""
    for _ in range(data.draw(st.integers(1, MOST_CHANGES), "changes")):
        at = data.draw(st.integers(0, len(text)), "at")
        cut = data.draw(st.sampled_from((0, 0, 1, 3, 40)), "cut")
        put = data.draw(
            st.one_of(
                st.sampled_from(
                    (b"", b"\n", b"\t", b"\xff", b"\x00", b"- ", b": ", b"&a ", b"*a", b"!!python/name:os ", b"---\n")
                ),
                st.sampled_from((b"{" * 3_000, b"[" * 3_000, b"? ", b"|\n", b"<<: *a\n", b"'", b'"', b"# ", b"!!set ")),
                st.binary(max_size=4),
            ),
            "put",
        )
        text = text[:at] + put + text[at + cut :]
    return text


def planned(text: bytes) -> bool:
    """Whether `leadline plan` has a plan for the text; what it refuses, it says in sentences."""
    file = folder() / "manifests.yaml"
    file.write_bytes(text)
    try:
        found, _ = plan_of(PlanOptions(manifests=[file], feed=["sim"]))
    except InvalidInput as refusal:
        check_sentences(refusal, file.name)
        return False
    plan_document(found)
    return True


def own_taken(text: bytes) -> bool:
    """Whether the file is taken; what is taken has a plan with each of its instruments, or sentences again."""
    file = folder() / "own.yaml"
    file.write_bytes(text)
    try:
        own = read_own([file])
    except InvalidInput as refusal:
        check_sentences(refusal, file.name)
        return False
    manifest = folder() / "of-own.yaml"
    try:
        for symbol in [*own.instruments][:3]:
            strategy = copied(STRATEGY)
            strategy["spec"] |= {
                "instrument": symbol,
                "session": {"name": "rth"},
                "sizing": {"mode": "Fixed", "size": 1},
            }
            strategy["spec"] |= {"entries": {}, "account": {"name": "coins"}}
            account = copied(ACCOUNT)
            account["metadata"]["name"] = "coins"
            limits = {"dayLoss": "1", "dayTarget": "1"}
            account["spec"] = {"currency": own.instruments[symbol].currency, "tiers": [], "limits": limits}
            manifest.write_bytes(as_text([strategy, account]))
            try:
                plan_of(PlanOptions(manifests=[manifest], feed=["sim"], instruments=[file]))
            except InvalidInput as refusal:
                check_sentences(refusal, "")
    finally:
        put_in_force(OwnMarkets())
    return True


def check_sentences(refusal: InvalidInput, file: str) -> None:
    """Each problem is one printable line of bounded length: its place, what was found and what was expected."""
    problems = refusal.problems if isinstance(refusal, InvalidManifest) else (refusal,)
    assert 0 < len(problems) <= MOST_PROBLEMS + 2
    for problem in problems:
        line = error_text(problem)
        assert line.isprintable(), line
        assert len(line) <= LONGEST_SENTENCE, f"{len(line)} characters: {line[:200]}"
        assert problem.field
        assert problem.expected
        assert file in problem.field or problem.field.startswith("--"), line[:300]
