"""`check`: whether a cluster, or this machine, can do a run; also what `run-all` asks first."""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datasets.errors import ConfigError
from datasets.folder import Folder, LocalFolder, as_folder
from datasets.manifest import read_manifest
from orchestrator.config import RunConfig
from orchestrator.node_facts import Questions, WantedCache, facts_here
from orchestrator.node_findings import Needs, NodeReport, findings
from orchestrator.nodes import nodes_of
from orchestrator.plan import Node
from orchestrator.report.formats import plural
from orchestrator.resources import gpus_of_a_trial
from orchestrator.texts import one_line
from trainers.backend import FRAMEWORKS, keras_backend

_REQUEST_IS_WRONG = 2
_UNKNOWN = "–"
_BOX = box.SIMPLE_HEAD


@dataclass(frozen=True)
class CheckRequest:
    """What to check. `address` is a Ray cluster's, None for this machine; `storage` a run's."""

    config: RunConfig
    address: str | None = None
    storage: str | None = None


def run_check(request: CheckRequest, console: Console) -> int:
    """Ask every node, print what they are and what is wrong; 0, or 2 where something is."""
    console.print("asking the nodes", highlight=False)
    with _shared_file(request.storage) as file:
        questions = _questions(request.config, request.storage, file)
        nodes, may_have = _reports(request.address, questions)
    for table in node_tables(nodes):
        console.print(table)
    needs = needs_of(request.config, may_have, watcher=request.address is not None)
    wrong = findings(nodes, needs)
    for line in wrong:
        console.print(Text(one_line(line), style="bold red"), soft_wrap=True)
    console.print(f"{len(wrong)} to mend" if wrong else "all is well", highlight=False)
    return _REQUEST_IS_WRONG if wrong else 0


def check_cluster(config: RunConfig, storage: str, may_have: Sequence[Node]) -> None:
    """Refuse a connected cluster on which the run can't do well; `ConfigError` with all findings.

    `may_have` are the nodes that it has or may grow to. A missing watcher is no reason: a cluster
    of one's own machines needs none.
    """
    from orchestrator.ray_check import ask_nodes

    with _shared_file(storage) as file:
        questions = _questions(config, storage, file)
        nodes = ask_nodes(questions)
        if not all(node.facts for node in nodes):
            # One that goes while it is asked is what the run is made to survive, and is gone by
            # now. One that lives and does not answer is not.
            nodes = ask_nodes(questions)
    if wrong := findings(nodes, needs_of(config, may_have)):
        raise ConfigError("this cluster can't do the run: " + "; ".join(wrong))


@contextmanager
def _shared_file(storage: str | None) -> Iterator[str | None]:
    """Put a small file into a storage while the nodes are asked whether they see it."""
    if storage is None:
        yield None
        return
    name, folder = f".check-{uuid.uuid4().hex}", as_folder(storage)
    with _no_new_folders(folder):
        try:
            folder.write(name, Path.touch)
        except OSError:  # each node will say that it can't, and why
            yield None
            return
        try:
            yield name
        finally:
            with suppress(OSError):
                folder.remove(name)


@contextmanager
def _no_new_folders(folder: Folder) -> Iterator[None]:
    """Remove what was made for the file to lie in, and is empty."""
    missing: list[Path] = []
    if isinstance(folder, LocalFolder):
        here = folder.path.absolute()
        missing = [path for path in (here, *here.parents) if not os.path.exists(path)]
    try:
        yield
    finally:
        with suppress(OSError):  # it was not made, or another has put something there
            for path in missing:
                path.rmdir()


def needs_of(config: RunConfig, nodes: Sequence[Node], *, watcher: bool = False) -> Needs:
    """What the configuration asks of nodes, of which the cluster has these or may grow by them."""
    return Needs(
        gpus=gpus_of_a_trial(config, nodes),
        gpus_to_come=max((node.gpus for node in nodes), default=0),
        watcher=watcher,
    )


def _questions(config: RunConfig, storage: str | None, file: str | None) -> Questions:
    """What to ask of each node; of its cache nothing where faces are drawn, which take little."""
    wanted = None
    if config.data.shards is not None:
        manifest = read_manifest(as_folder(config.data.shards))
        wanted = WantedCache(manifest, config.recipe.image_size, config.data.cache_mode)
    return Questions(config.data.cache_path, wanted, storage, file)


def _reports(address: str | None, questions: Questions) -> tuple[list[NodeReport], Sequence[Node]]:
    """What the nodes said, and which nodes the cluster has or may grow by."""
    with nodes_of(address) as nodes:
        if address is None:
            (here,) = nodes
            return [NodeReport("this machine", here.cpus, here.gpus, facts_here(questions))], nodes
        from orchestrator.ray_check import ask_nodes

        return ask_nodes(questions), nodes


def node_tables(nodes: Sequence[NodeReport]) -> tuple[Table, Table]:
    """What runs on each node, and what each has; two tables, for a terminal of 80 columns."""
    framework = FRAMEWORKS[keras_backend()].title
    runs = Table(title=plural(len(nodes), "node"), title_justify="left", box=_BOX)
    has = Table(box=_BOX)
    for table in (runs, has):
        table.add_column("node", no_wrap=True)
    for header in ("host", "Ray", framework, "driver", "watcher"):
        runs.add_column(header)
    for header in ("CPUs", "GPUs", f"{framework}\nGPUs", "cache\nfree", "write", "read", "clock"):
        has.add_column(header, justify="right")
    for node in nodes:
        for table, cells in ((runs, _runs(node)), (has, _has(node))):
            table.add_row(*(Text(one_line(cell)) for cell in (node.name, *cells)))
    return runs, has


def _runs(node: NodeReport) -> list[str]:
    facts = node.facts
    if facts is None:
        return [_UNKNOWN] * 5
    return [
        facts.host,
        facts.versions["ray"],
        facts.versions[FRAMEWORKS[facts.backend].packages[0]],
        facts.driver or _UNKNOWN,
        "runs" if facts.watches else _UNKNOWN,
    ]


def _has(node: NodeReport) -> list[str]:
    facts, counts = node.facts, [str(node.cpus), str(node.gpus)]
    if facts is None:
        return [*counts, *[_UNKNOWN] * 5]
    return [
        *counts,
        _UNKNOWN if facts.seen_gpus is None else str(facts.seen_gpus),
        _UNKNOWN if isinstance(facts.cache, str) else f"{facts.cache.free / 2**30:.0f} GiB",
        _rate(facts.storage.write_rate),
        _rate(facts.storage.read_rate),
        f"{node.clock_ahead_s:+.1f} s",
    ]


def _rate(rate: float | None) -> str:
    return _UNKNOWN if rate is None else f"{rate / 1e6:.0f} MB/s"
