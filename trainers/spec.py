"""What one trial is: plain data that travels from the driver to a worker."""

from dataclasses import dataclass
from pathlib import Path

from datasets.cache import CacheMode
from trainers.recipe import Recipe, config_hash


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
    cache_mode: CacheMode
    trial_dir: Path
    threads: int
    gpus: float = 0

    @property
    def config_hash(self) -> str:
        """See `trainers.recipe.config_hash`."""
        return config_hash(self.architecture, self.seed, self.recipe)
