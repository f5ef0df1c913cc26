"""What one trial is: plain data that travels from the driver to a worker."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.folder import Folder, LocalFolder, as_folder
from datasets.labels import HAPPINESS
from trainers.attempt_files import attempt_dir
from trainers.recipe import Recipe, config_hash
from trainers.resilience import Resilience

if TYPE_CHECKING:  # each of Ray's processes that knows of a trial would import Pillow
    from datasets.cache import CacheMode


@dataclass(frozen=True)
class TrialSpec:
    """One architecture and seed, its recipe, where its data is and where its files go."""

    name: str
    architecture: str
    seed: int
    recipe: Recipe
    shards: str
    """A directory, or an address (see `datasets.folder`)."""
    cache_dir: Path
    cache_mode: "CacheMode"
    trial_dir: Path
    """On the machine that trains it; where its files stay if `storage` is None."""
    threads: int
    gpus: float = 0
    prefetch_batches: int = 2
    """Batches that are made before training asks for them."""
    resilience: Resilience = field(default_factory=Resilience)
    session: str = ""
    """The driver's run, so that the books can tell a lost driver from a lost worker."""
    probes: Path | None = None
    """A folder of the user's pictures for the probes (see `datasets.probe_images`); None: drawn."""
    probes_label: int | None = HAPPINESS
    """Their true expression, a code; None: unknown."""
    until_epoch: int | None = None
    """Stop with a checkpoint after so many epochs, to go on later; None: train them all."""

    attempt: int = 0
    """The number of the attempt, under which its checkpoints go; above those of all before it."""

    storage: str | None = None
    """The address of the run in an object store, whose `trials/NAME` is the trial's then."""

    @property
    def run_folder(self) -> Folder | None:
        """The run in an object store; None where it is a directory."""
        return None if self.storage is None else as_folder(self.storage)

    @property
    def folder(self) -> Folder:
        """The trial's files as every machine of the run sees them."""
        run = self.run_folder
        return LocalFolder(self.trial_dir) if run is None else run.below(f"trials/{self.name}")

    @property
    def attempt_folder(self) -> Folder:
        """Where the files go that this attempt writes; see `trainers.attempt_files`."""
        return self.folder if self.storage is None else self.folder.below(attempt_dir(self.attempt))

    @property
    def run_dir(self) -> Path:
        """The run directory: `RUN/trials/NAME` is the trial's."""
        return self.trial_dir.parent.parent

    @property
    def config_hash(self) -> str:
        """See `trainers.recipe.config_hash`."""
        return config_hash(self.architecture, self.seed, self.recipe, self.devices)

    @property
    def shares_gpu(self) -> bool:
        """Whether other trials may be on its GPU."""
        return 0 < self.gpus < 1

    @property
    def devices(self) -> int:
        """Devices that train it: its GPUs where it has several, else one."""
        return max(1, int(self.gpus))
