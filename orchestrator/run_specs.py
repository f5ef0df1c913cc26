"""What a run tells each of its trials."""

import uuid

from datasets.probe_images import probe_label
from orchestrator.config import RunConfig
from orchestrator.plan import Resources
from orchestrator.preflight import data_place
from orchestrator.run_store import RunStore
from orchestrator.trial_files import placed
from trainers.spec import TrialSpec


def trial_specs(
    config: RunConfig,
    store: RunStore,
    names: list[str],
    resources: Resources,
    until_epoch: int | None,
) -> list[TrialSpec]:
    """The specifications of these trials, of one session of the run.

    One that has failed on a shared GPU before gets a whole one. Raises as `asked` does.
    """
    records = [store.trial(name) for name in names]
    shards = data_place(config, store)
    session = uuid.uuid4().hex
    specs = [
        TrialSpec(
            name=record.name,
            architecture=record.architecture,
            seed=record.seed,
            recipe=config.recipe,
            shards=shards,
            cache_dir=config.data.cache_path,
            cache_mode=config.data.cache_mode,
            trial_dir=record.directory.absolute(),
            storage=None if store.storage is None else store.address,
            threads=config.resources.cpus_per_trial,
            gpus=resources.gpus_of(record.architecture),
            prefetch_batches=config.data.prefetch_batches,
            resilience=config.resilience,
            session=session,
            probes=store.probes_dir.absolute() if config.probes else None,
            probes_label=probe_label(config.probes_label),
            until_epoch=until_epoch,
        )
        for record in records
    ]
    return [placed(spec) for spec in specs]
