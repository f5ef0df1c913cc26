"""A run on a cluster of this machine, and the faults that can hit it; `chaos.py` deals them out."""

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from chaos_files import Change, asked, change, flipped, write
from chaos_processes import is_alive, kill, pids_named, stop

from orchestrator.ray_private.register_file import REGISTER_FILE
from orchestrator.run_store import RunStore
from trainers.books import last_position
from trainers.checkpoint import Position
from trainers.checkpoint_store import MARKER_FILE, STATE_FILE
from trainers.entries import Restored, entries_in
from trainers.result import RESULT_FILE, TrialState

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))  # for the tests' stand-in of a store

from tests.object_stores import Gate  # noqa: E402

TRIALS = ("mobilenet-s0", "mobilenet-s1", "mobilenetv2-s0", "mobilenetv2-s1")
NOTICE_S = 20
GIVE_UP_S = 600
FALL_S = 20
REFUSED = 2


@dataclass
class Victim:
    """A cluster, a driver and a run, and what can happen to them."""

    workdir: Path
    epochs: int
    rng: random.Random
    bucket: str | None = None
    """Where the disturbed run is, if not in a folder of `workdir`."""
    gate: Gate = field(default_factory=Gate)
    cluster: object = None
    driver: subprocess.Popen[bytes] | None = None

    @property
    def run_dir(self) -> str:
        """The disturbed run."""
        return f"{self.bucket or self.workdir}/disturbed"

    @property
    def store(self) -> RunStore:
        """The same; in a bucket it is the view of its driver, which is on this machine."""
        return RunStore.at(self.run_dir)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The faults that it can have."""
        return KINDS if self.bucket is None else (*KINDS, "storage_away")

    def trial_dir(self, trial: str) -> Path:
        """A trial of the disturbed run."""
        return self.store.trial_dir(trial)

    def command(self, run_dir: Path | str, *more: str) -> list[str]:
        """The user's command."""
        settings = (
            "recipe.image_size=32",
            f"recipe.epochs={self.epochs}",
            "resilience.checkpoint_steps=20",
            "resilience.storage_seconds=2",
            "resources.max_failures=5",
            "data.drawn.train=640",
            "data.drawn.validation=64",
            "data.drawn.size=32",
            f"data.cache_dir={self.workdir / 'cache'}",
        )
        words = [sys.executable, "-m", "orchestrator", "run-all", "--preset", "demo"]
        words += ["--only", "mobilenet,mobilenetv2", "--seeds", "0,1", "--run-dir", str(run_dir)]
        for setting in settings:
            words += ["--set", setting]
        return [*words, *more]

    def start_driver(self) -> None:
        """Give the command, the first time or again."""
        address = self.cluster.address
        self.gate.wait()  # a command that finds its storage away says so, and ends
        with (self.workdir / "driver.log").open("ab") as log:
            self.driver = subprocess.Popen(
                self.command(self.run_dir, "--address", address), stdout=log, stderr=log
            )

    def revive_driver(self) -> None:
        """Give the command again where it was refused: its storage went away while it began."""
        if self.bucket is not None and self.driver.poll() == REFUSED:
            self.start_driver()

    def start_cluster(self) -> None:
        """A head that holds no trial, and two nodes for one each."""
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(2):
            self.cluster.add_node(num_cpus=1)
        self.cluster.wait_for_nodes()

    # What can happen. Each takes the trial that it is to hit.

    def worker_killed(self, trial: str) -> None:
        """`kill -9` of the process that trains."""
        kill(self.pid_of(trial))

    def node_killed(self, trial: str) -> None:
        """A node vanishes; another joins."""
        self.cluster.remove_node(self.rng.choice(self.nodes()), allow_graceful=False)
        self.cluster.add_node(num_cpus=1)

    def node_drained(self, trial: str) -> None:
        """A notice, and the node is gone at its deadline; another joins."""
        node = self.rng.choice(self.nodes())
        script = (
            "import sys, time\n"
            "from orchestrator.cloud_notices import Notice\n"
            "from orchestrator.ray_drain import drain_node\n"
            f"drain_node(sys.argv[1], Notice('chaos', time.time() + {NOTICE_S}), sys.argv[2])\n"
        )
        words = [sys.executable, "-c", script, self.cluster.address, node.node_id]
        subprocess.run(words, check=True, timeout=120)
        self.cluster.add_node(num_cpus=1)
        time.sleep(NOTICE_S)
        self.cluster.remove_node(node, allow_graceful=False)

    def driver_killed(self, trial: str) -> None:
        """`kill -9` of the driver, and the same command again."""
        kill(self.driver.pid)
        self.driver.wait()
        self.start_driver()

    def driver_interrupted(self, trial: str) -> None:
        """Ctrl-C, and the same command again."""
        self.driver.send_signal(signal.SIGINT)
        self.driver.wait(timeout=GIVE_UP_S)
        self.start_driver()

    def controller_killed(self, trial: str) -> None:
        """`kill -9` of one of Train's controllers."""
        pids = [self.pid_of(name) for name in self.running()]
        end = time.monotonic() + GIVE_UP_S
        name = "ray::KeptTrainController.control"  # one that has a trial
        while not (found := pids_named(name)) and time.monotonic() < end:
            time.sleep(0.1)  # the fault before may have taken them all
        kill(self.rng.choice(found))
        # Ray takes the worker down after it, if it had one: a trial may still wait for its place.
        end = time.monotonic() + FALL_S
        while all(map(is_alive, pids)) and time.monotonic() < end:
            time.sleep(0.05)

    def checkpoint_truncated(self, trial: str) -> None:
        """The newest checkpoint is cut in half, and the worker dies."""
        self._damage(trial, STATE_FILE, lambda data: data[: len(data) // 2])

    def checkpoint_flipped(self, trial: str) -> None:
        """One bit of the newest checkpoint is turned over, and the worker dies."""
        self._damage(trial, STATE_FILE, flipped)

    def orphan_left(self, trial: str) -> None:
        """Half a checkpoint lies about, and the worker dies."""
        orphan = f"e009999-s000000000-a9000/{STATE_FILE}"
        write(self.store.checkpoints(trial).folder, orphan, b"half")
        kill(self.pid_of(trial))

    def register_truncated(self, trial: str) -> None:
        """Ray Train's register is cut short; the run's driver dies, and the next finds it so."""
        self._without_driver(trial, lambda data: data[:-20])

    def register_lost(self, trial: str) -> None:
        """It is gone."""
        self._without_driver(trial, lambda data: None)

    def register_of_another_ray(self, trial: str) -> None:
        """Another version of Ray has written it."""

        def other(data: bytes) -> bytes:
            return json.dumps(json.loads(data) | {"ray_version": "2.41.0"}).encode()

        self._without_driver(trial, other)

    def checkpoint_gone(self, trial: str) -> None:
        """The newest checkpoint is listed and gone, and the worker dies."""
        self._damage(trial, STATE_FILE, lambda data: None)

    def checkpoint_half_stored(self, trial: str) -> None:
        """The newest checkpoint has no marker yet, and the worker dies."""
        self._damage(trial, MARKER_FILE, lambda data: None)

    def storage_away(self, trial: str) -> None:
        """For a minute the object store answers 503, whatever it is asked."""
        self.gate.close(60)

    def cache_removed(self, trial: str) -> None:
        """The staged images vanish from the disk."""
        for path in (self.workdir / "cache").glob("*/*.arrow"):
            path.unlink(missing_ok=True)
        kill(self.pid_of(trial))

    def cache_spoiled(self, trial: str) -> None:
        """Another process writes to the staged images."""
        for path in (self.workdir / "cache").glob("*/train.arrow"):
            with path.open("r+b") as stream:
                stream.seek(path.stat().st_size // 2)
                stream.write(b"chaos")
        end, pid = time.monotonic() + GIVE_UP_S, self.pid_of(trial)
        while is_alive(pid) and not self.is_over(trial) and time.monotonic() < end:
            time.sleep(0.05)  # until it sees that, at its next checkpoint

    # How it stands.

    def nodes(self) -> list[object]:
        """The nodes that hold trials."""
        return list(self.cluster.worker_nodes)

    def pid_of(self, trial: str) -> int | None:
        """The process that trains a trial."""
        progress = self.store.trial(trial).progress
        return progress.pid if progress else None

    def running(self) -> list[str]:
        """Trials that have done a step and are at work."""
        store = self.store
        if store.read() is None:
            return []
        records = [store.trial(name) for name in TRIALS]
        return [
            record.name
            for record in records
            if record.state is TrialState.RUNNING
            and record.progress
            and record.progress.phase in ("training", "evaluating")
        ]

    def stood(self, trial: str) -> Position:
        """The furthest step of a trial."""
        now = self.store.trial(trial).progress
        at = Position(now.epoch, now.step) if now else Position()
        return max(at, last_position(self.trial_dir(trial)))

    def repeated(self, trial: str) -> int:
        """Steps of a trial that were done again so far; in a bucket, until its last attempt."""
        entries = entries_in(self.trial_dir(trial))
        return sum(one.steps_repeated for one in entries if isinstance(one, Restored))

    def is_over(self, trial: str) -> bool:
        """True once the trial has a result."""
        return (self.trial_dir(trial) / RESULT_FILE).exists()

    def _damage(self, trial: str, file: str, how: Change) -> None:
        """Change a file of the newest checkpoint, and end the worker, which stands still by then.

        Its checkpoint may not be whole yet: then the one before is changed.
        """
        pid = self.pid_of(trial)
        stop(pid)
        checkpoints = self.store.checkpoints(trial)
        if names := asked(checkpoints.names):
            change(checkpoints.folder, f"{names[0]}/{file}", how)
        kill(pid)

    def _without_driver(self, trial: str, how: Change) -> None:
        """Change the trial's register while nothing of the run is at work, and go on."""
        pid = self.pid_of(trial)
        kill(self.driver.pid)
        self.driver.wait()
        end = time.monotonic() + FALL_S
        while is_alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        change(self.store.checkpoints(trial).folder, REGISTER_FILE, how)
        self.start_driver()


KINDS = (
    "worker_killed",
    "node_killed",
    "node_drained",
    "driver_killed",
    "driver_interrupted",
    "controller_killed",
    "checkpoint_truncated",
    "checkpoint_flipped",
    "orphan_left",
    "cache_removed",
    "cache_spoiled",
    "register_truncated",
    "register_lost",
    "register_of_another_ray",
    "checkpoint_gone",
    "checkpoint_half_stored",
)
