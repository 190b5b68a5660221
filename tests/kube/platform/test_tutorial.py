"""docs/tutorial/first-strategy-on-k3s.md: its commands are run one after the other, as they stand there.

Only the kubeconfig is the node's, the market is played faster than for somebody who reads, and where there is no `helm`
the same is done by Helm's library. A command must succeed and say what the page shows below it (… stands for anything);
where the page shows an error it must fail.
"""

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import helm_python
import pytest
import yaml

from tests.kube.cluster.binaries import node_binaries
from tests.kube.cluster.node import Node
from tests.kube.platform.book import open_book, until
from tests.kube.platform.installation import INSTALL_SECONDS, ROOT, Installation

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = ROOT / "docs" / "tutorial" / "first-strategy-on-k3s.md"
SYSTEM = "leadline-system"
ENVIRONMENT = "export KUBECONFIG=/etc/rancher/k3s/k3s.yaml"
WAIT_FOR_TRADE = "<!-- the test waits here until there is a trade -->"
SPEED, TEST_SPEED = "feed.speed=600", "feed.speed=1800"
COMMAND_SECONDS = 200


@dataclass(frozen=True)
class Command:
    line: str
    shown: tuple[str, ...]

    @property
    def fails(self) -> bool:
        return any("is invalid" in line for line in self.shown)


def commands_of(page: str) -> list[Command]:
    """The commands of a page, each with the output that is shown below it."""
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], ()))
            else:
                found[-1] = Command(found[-1].line, (*found[-1].shown, line))
    return found


def says(output: str, shown: str) -> bool:
    pattern = ".*".join(re.escape(part.strip()) for part in shown.split("…"))
    return any(re.fullmatch(pattern, line.strip()) for line in output.splitlines())


@pytest.fixture
def cluster(node: Node, leadline_image: str):
    """A cluster as step 1 leaves it: the image is there, Leadline is not."""
    found = Installation(node, SYSTEM, "default", {})
    yield found
    found.remove()


def shell(command: str, kubeconfig: Path) -> tuple[int, str]:
    places = [str(node_binaries()["kubectl"].parent), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": ":".join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def by_library(command: str, helm: helm_python.Config) -> None:
    """What `helm install` and `helm uninstall` do, by Helm's library."""
    _, action, *words = shlex.split(command)
    namespace = words[words.index("--namespace") + 1]
    if action == "uninstall":
        helm.uninstall(words[0], timeout=60)
        return
    assert action == "install"
    values: dict[str, object] = {}
    if "--set" in words:
        path, _, value = words[words.index("--set") + 1].partition("=")
        section, name = path.split(".")
        values = {section: {name: yaml.safe_load(value)}}
    helm.install(
        ROOT / words[1],
        words[0],
        values,
        namespace=namespace,
        create_namespace="--create-namespace" in words,
        wait="watcher",
        timeout=INSTALL_SECONDS,
    )


def test_the_page_is_read_as_it_is_shown():
    page = "```console\n$ one\nsaid …\n$ two\n```\n```sh\nnot run\n```\n```console\n$ three\nX is invalid: …\n```\n"
    assert commands_of(page) == [
        Command("one", ("said …",)),
        Command("two", ()),
        Command("three", ("X is invalid: …",)),
    ]
    assert commands_of(page)[2].fails
    assert says("before\nsaid it\n", "said …")
    assert not says("said", "nothing")


async def test_the_commands_of_the_tutorial_do_what_it_says(cluster):
    page = PAGE.read_text()
    assert SPEED in page
    page = page.replace(SPEED, TEST_SPEED)
    assert ENVIRONMENT in page
    assert WAIT_FOR_TRADE in page
    for part, text in enumerate(page.split(WAIT_FOR_TRADE)):
        if part == 1:
            async with open_book(cluster) as book:
                await until(book.fills, "there is a trade", 240)
        for command in commands_of(text):
            if command.line in {ENVIRONMENT, ". .venv/bin/activate"}:
                continue  # `shell` does it
            if command.line.startswith("helm ") and shutil.which("helm") is None:
                by_library(command.line, cluster.helm)
                continue
            code, output = shell(command.line, cluster.node.kubeconfig)
            assert (code != 0) == command.fails, f"{command.line}\n{output}"
            for shown in command.shown:
                assert says(output, shown), f"{command.line}\n{output}"
