"""What is used of Ray beyond its public API: in one room, and still where it was."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.ray_environment import prepare_environment

prepare_environment()

import ray.train  # noqa: E402
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer  # noqa: E402

from orchestrator.ray_private import lean_trainer  # noqa: E402
from tests.scripts import ROOT, answer_of  # noqa: E402

ROOM = ROOT / "orchestrator" / "ray_private"

# A module that Ray keeps to itself, or an attribute of Ray that begins with an underscore.
PRIVATE = re.compile(r"\bray(\.\w+)*\.(_(?!_)\w+|core\.generated)\b|/ray\.rpc\.|ray\.scripts")


def names_of(path: Path) -> Iterator[str]:
    """Dotted names and texts in a module, but not in its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.ClassDef) and "Trainer" in " ".join(map(ast.unparse, node.bases)):
            # What one of Ray's trainers is given in the place of its own.
            yield from (f"ray.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
        ):
            yield node.value


def private_names(path: Path) -> set[str]:
    return {name for name in names_of(path) if PRIVATE.search(name)}


def test_no_other_module_has_a_private_name_of_ray():
    modules = [
        path
        for package in ("orchestrator", "trainers", "datasets")
        for path in (ROOT / package).rglob("*.py")
        if path.parent != ROOM
    ]
    assert len(modules) > 150
    assert {str(path): found for path in modules if (found := private_names(path))} == {}


def test_the_room_holds_just_what_it_says():
    found = {path.stem: private_names(path) for path in ROOM.glob("*.py")}
    assert {stem for stem, names in found.items() if names} == {
        *("cluster_state", "head_question", "lean_trainer"),
    }
    assert found["lean_trainer"] == {
        "ray._initialize_and_run_controller",
        "ray.train.v2._internal.execution.controller.TrainController",
    }
    assert found["cluster_state"] == {"ray._private.state"}
    assert found["head_question"] == {"/ray.rpc.InternalKVGcsService/InternalKVKeys"}


def test_private_names_are_seen(tmp_path: Path):
    """What the search is worth."""
    for text in (
        "from ray._private import services",
        "import ray.train.v2._internal.callbacks",
        "from ray.train.v2._internal.execution import callback",
        "from ray.core.generated import gcs_pb2",
        "import ray\nray._raylet.x()",
        "words = ['-m', 'ray.scripts.scripts']",
        "class Own(DataParallelTrainer):\n    def _validate(self): ...",
        "ask = '/ray.rpc.NodeInfoGcsService/GetAllNodeInfo'",
    ):
        (tmp_path / "one.py").write_text(text)
        assert private_names(tmp_path / "one.py"), text
    (tmp_path / "one.py").write_text("import ray\nray.init()\nray.get(x._y)\n'ray._private'")
    assert private_names(tmp_path / "one.py") == set()


class Controlled:
    """Controllers that were started; each run of theirs ends with the next of `ends`."""

    def __init__(self, *ends: Exception | str) -> None:
        self.ends = list(ends)
        self.runs: list[int] = []
        self.helpers: list[set[str]] = []
        self.killed: list[int] = []
        self.number = 0

    def start(self) -> Any:
        self.number += 1
        return SimpleNamespace(control=SimpleNamespace(remote=self._control), number=self.number)

    def _control(self, of_the_run: dict[str, Any]) -> int:
        self.helpers.append({type(one).__name__ for one in of_the_run["callbacks"]})
        return self.number

    def get(self, number: int) -> tuple[SimpleNamespace, bool]:
        """What the run of a controller gives."""
        self.runs.append(number)
        end = self.ends.pop(0)
        if isinstance(end, ray.exceptions.RayError):
            raise end
        return SimpleNamespace(error=None if isinstance(end, str) else end), end != "left something"

    def kill(self, controller: SimpleNamespace) -> None:
        self.killed.append(controller.number)


def controlled(monkeypatch: pytest.MonkeyPatch, *ends: Exception | str) -> Controlled:
    """What becomes of the controllers of a process whose trials' runs end so, one after another."""
    all_of_them = Controlled(*ends)
    monkeypatch.setattr(lean_trainer.LeanTrainer, "_kept", None)
    monkeypatch.setattr(lean_trainer, "_started", all_of_them.start)
    monkeypatch.setattr(ray, "put", lambda one: one)
    monkeypatch.setattr(ray, "get", all_of_them.get)
    monkeypatch.setattr(ray, "kill", all_of_them.kill)
    return all_of_them


def test_a_trial_starts_no_actor_that_it_has_no_use_for(monkeypatch: pytest.MonkeyPatch):
    found = controlled(monkeypatch, "well")
    rays = {type(one).__name__ for one in DataParallelTrainer(print)._create_default_callbacks()}
    lean_trainer.LeanTrainer(print).fit()
    assert [rays - helpers for helpers in found.helpers] == [lean_trainer.LEFT_OUT]


LOST = ray.exceptions.RayActorError()


@pytest.mark.parametrize(
    ("first", "runs", "killed"),
    [
        ("well", [1, 1], []),
        (ray.train.WorkerGroupError("gone", {0: LOST}), [1, 1], []),
        ("left something", [1, 2], [1]),
        (ray.train.ControllerError(OSError("no space")), [1, 2], [1]),
        (LOST, [1, 2], []),
        (ray.exceptions.RayTaskError("control", "…", OSError("no storage")), [1, 2], [1]),
    ],
    ids=["well", "worker lost", "left something", "its own error", "lost", "not set up"],
)
def test_a_controller_is_kept_where_nothing_is_left_of_its_run(
    first: Exception | str, runs: list[int], killed: list[int], monkeypatch: pytest.MonkeyPatch
):
    found = controlled(monkeypatch, first, "well")
    trainer = lean_trainer.LeanTrainer(print)
    if first in ("well", "left something"):
        trainer.fit()
    else:
        with pytest.raises((ray.train.TrainingFailedError, ray.exceptions.RayActorError)):
            trainer.fit()
    trainer.fit()
    assert found.runs == runs
    assert found.killed == killed


ASKING = """
import json, time
from orchestrator.ray_environment import prepare_environment
prepare_environment()
import ray
from ray.core.generated.autoscaler_pb2 import ClusterConfig
from ray.util.placement_group import placement_group, remove_placement_group
from orchestrator.ray_private import cluster_state as asked

@ray.remote(num_cpus=0)
class Maker:
    def make(self):
        self.group = placement_group([{"CPU": 1}])
        ray.get(self.group.ready())
        return self.group.id.hex()

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
gcs = ray.get_runtime_context().gcs_address
mine = ray.get_runtime_context().get_job_id()
maker = Maker.remote()
group, own = ray.get(maker.make.remote()), placement_group([{"CPU": 1}])
actor, gone = maker._actor_id.hex(), placement_group([{"CPU": 1}])
remove_placement_group(gone)
said = {"before": [asked.actor_is_gone(actor), list(asked.ended_jobs()), asked.node_limits()]}
said["groups"] = {one.group: [one.job == mine, one.maker == actor, one.maker, one.is_detached,
                              one.is_removed] for one in asked.placement_groups()}
said["ids"] = [group, own.id.hex(), gone.id.hex()]
ray.kill(maker)
said["unknown"] = asked.actor_is_gone("f" * 31 + actor[31:])
while not asked.actor_is_gone(actor):
    time.sleep(0.05)
config = ClusterConfig()
config.node_group_configs.add(name="gpu", resources={"CPU": 8, "GPU": 1}, max_count=3)
ray._raylet.GcsClient(gcs).report_cluster_config(config.SerializeToString())
said["limits"] = [[dict(resources), most] for resources, most in asked.node_limits()]
ray.shutdown()
print(json.dumps(said))
"""


@pytest.mark.slow
def test_the_head_tells_its_groups_their_makers_and_its_limits():
    said = answer_of(ASKING, RAY_AUTH_MODE="disabled")
    group, own_group, gone = said["ids"]
    assert said["before"] == [False, [], []]
    assert said["groups"][group][:2] == [True, True]
    assert said["groups"][own_group] == [True, False, None, False, False]
    assert said["groups"][gone] == [True, False, None, False, True]
    assert said["unknown"] is True
    assert said["limits"] == [[{"CPU": 8, "GPU": 1}, 3]]
