"""`run-all`: from a configuration to a report. Everything is checked before anything starts."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from datasets.errors import ConfigError
from datasets.folder import Folder
from datasets.manifest import Manifest
from orchestrator.check import check_cluster
from orchestrator.config import RunConfig
from orchestrator.config_differences import differences
from orchestrator.config_sources import Repeated
from orchestrator.forecast import Forecast, measured_rates
from orchestrator.nodes import nodes_of
from orchestrator.plan import Plan, Resources, make_plan
from orchestrator.preflight import (
    audit_text,
    check_fingerprint,
    check_keras_backend,
    check_probes,
    check_shards,
    check_weights,
    data_place,
    keep_probes,
    open_data,
    planned_rows,
    stage_here,
    tell_differences,
)
from orchestrator.progress import ProgressView
from orchestrator.provenance import write_provenance
from orchestrator.ray_address import head_of
from orchestrator.resources import shares_gpus, trial_resources
from orchestrator.run_data import run_data
from orchestrator.run_ends import (
    forget_earlier,
    patiently,
    record_unexplained,
    settle_finished,
    stage_is_over,
    take_over_all,
)
from orchestrator.run_lock import check_writable, run_lock
from orchestrator.run_specs import trial_specs
from orchestrator.run_store import (
    PROVENANCE_FILE,
    REPORT_DIR,
    RunDocument,
    RunStore,
)
from orchestrator.show import print_outcome, print_plan
from orchestrator.tracking import check_tracking, trackers
from trainers.architectures import check_image_size
from trainers.backend import check_backend, keras_backend
from trainers.checkpoint import Position
from trainers.interruption import STOP_FILE
from trainers.result import TrialState

if TYPE_CHECKING:
    from ray.tune import ResultGrid

_STOPPING = (
    "stopping: each trial checkpoints at its next step (one that compiles, once that is done); "
    "Ctrl-C again stops at once"
)


@dataclass(frozen=True)
class RunRequest:
    """What `run-all` was asked for.

    `run_dir` is a directory, or an address in an object store. `address` is a Ray cluster's, None
    for this machine. `until_epoch` is where a stage of a multistage training ends; the same request
    with a later one goes on. `repeats` is the run that this repeats.
    """

    config: RunConfig
    run_dir: str | Path
    address: str | None = None
    dry_run: bool = False
    until_epoch: int | None = None
    repeats: Repeated | None = None


@dataclass(frozen=True)
class Machines:
    """What a run does with the machines that it trains on; tests of all the rest give others.

    `refuse_unfit` raises `ConfigError` where they can't do the run, `train` trains the trials of
    these names and returns when they are over.
    """

    refuse_unfit: Callable[[RunRequest, RunStore, Console], None]
    train: Callable[[RunRequest, RunStore, RunDocument, list[str], Console], object]


def run_all(request: RunRequest, console: Console, machines: Machines | None = None) -> int:
    """Carry out a request; returns the exit code: 0, or 1 when some trial did not finish.

    A request that can't be carried out raises `FerOrchError` before anything is started.
    """
    machines = machines or Machines(refuse_unfit_place, train_on_ray)
    config, store = request.config, RunStore.at(request.run_dir)
    store.refresh()
    check_backend()
    check_image_size(config.architectures, config.recipe.image_size)
    _refuse_other_config(store, config)
    check_probes(config, store)
    rows = planned_rows(config, store)
    if request.dry_run:
        _print_plan(request, store, rows, console)
        return 0
    is_new = store.read() is None
    if is_new:  # it is to leave nothing behind where it can't be
        machines.refuse_unfit(request, store, console)
    check_writable(store)
    with run_lock(store, console, cluster_of(request)) as before:
        store.refresh()  # another driver may have worked on it until now
        take_over_all(store, before)
        _refuse_other_config(store, config)
        todo = _to_do(request, store, rows)
        if todo and not is_new:
            machines.refuse_unfit(request, store, console)
        check_weights(config, todo)
        shards, manifest = open_data(config, store, console)
        document = _document(request, store, shards, manifest)
        check_fingerprint(store, document)
        tell_differences(document, request.repeats, console)
        if todo:
            keep_probes(config, store)
            check_shards(shards, manifest, console)
            machines.train(request, store, document, todo, console)
        with suppress(OSError):  # a driver that was killed while it stopped has left it
            (store.root / STOP_FILE).unlink(missing_ok=True)
        settle_finished(store, config)
        return _finish(config, store, request.until_epoch, console)


def _print_plan(
    request: RunRequest, store: RunStore, rows: Mapping[str, int], console: Console
) -> None:
    with nodes_of(request.address, shares_gpus(request.config)) as nodes:
        resources = trial_resources(request.config, nodes)
    todo = _to_do(request, store, rows)
    plan = _plan_of(request, store, todo, rows, resources)
    print_plan(plan, request.config, store, rows, console)


def cluster_of(request: RunRequest) -> str:
    """The head's HOST:PORT of a request's cluster; empty for none, or for one not found."""
    try:
        return "" if request.address is None else head_of(request.address)
    except ConfigError:  # told where the cluster is needed: a finished run goes without
        return ""


def _refuse_other_config(store: RunStore, config: RunConfig) -> None:
    check_keras_backend(config, store)
    earlier = store.read()
    if earlier is None:
        return
    found = differences(earlier.config, config.model_dump(mode="json"))
    if found:
        raise ConfigError(
            f"{store.place} holds a run of another configuration: {'; '.join(found)}. "
            "Name another --run-dir, or ask for the same"
        )


def refuse_unfit_place(request: RunRequest, store: RunStore, console: Console) -> None:
    """What this machine or the cluster can't do, before faces are drawn and shards are read."""
    check_tracking(request.config)
    with nodes_of(request.address, shares_gpus(request.config)) as nodes:
        trial_resources(request.config, nodes)
        if request.address is not None:
            console.print("checking the nodes", highlight=False)
            check_cluster(request.config, store.address, nodes)


def _plan_of(
    request: RunRequest,
    store: RunStore,
    names: Collection[str],
    rows: Mapping[str, int],
    resources: Resources,
) -> Plan:
    """The plan of the trials that are to do, at the rates that the run has measured so far."""
    config = request.config
    records = [] if store.read() is None else store.trials()
    rates = measured_rates(records, config.recipe.batch_size, resources)
    begun = any(one.reached > Position() for one in records if one.name in names)
    return make_plan(config, rows, resources, rates, only=names, begun=begun)


def _names(config: RunConfig, rows: Mapping[str, int]) -> list[str]:
    """All trials, longest first by the table of architectures."""
    order = make_plan(config, rows, Resources(config.resources.cpus_per_trial, 0, 1))
    return [trial.name for trial in order.trials]


def _name_of(store: RunStore) -> str:
    if store.storage is None:
        return store.root.resolve().name
    return store.place.rpartition("/")[2]


def _document(
    request: RunRequest, store: RunStore, shards: Folder, manifest: Manifest
) -> RunDocument:
    config = request.config
    rows: dict[str, int] = {str(split): manifest.rows(split) for split in manifest.classes}
    return RunDocument(
        name=_name_of(store),
        trials=_names(config, rows),
        config=config.model_dump(mode="json"),
        data=run_data(shards, manifest, audit_text(store, shards, manifest)),
        keras_backend=keras_backend(),
    )


def _to_do(request: RunRequest, store: RunStore, rows: Mapping[str, int]) -> list[str]:
    return [name for name in _names(request.config, rows) if _is_to_do(request, store, name)]


def _is_to_do(request: RunRequest, store: RunStore, name: str) -> bool:
    """Finished is immutable, diverged would diverge again; a failed trial is tried again."""
    if store.trial(name).state in (TrialState.FINISHED, TrialState.DIVERGED):
        return False
    return not stage_is_over(store, name, request.until_epoch)


def train_on_ray(
    request: RunRequest, store: RunStore, document: RunDocument, names: list[str], console: Console
) -> "ResultGrid":
    """Start Ray, or connect to it, and train the trials of these names; see `Machines`.

    Returns what Tune has heard of these and of those that were finished before.
    """
    # Ray takes seconds to import: a run with nothing to do never needs it.
    from orchestrator.ray_nodes import cluster_nodes
    from orchestrator.ray_run import errors_of, ray_session, run_trials

    config = request.config
    if request.address is None:
        stage_here(config, data_place(config, store), console)
    console.print("starting Ray", highlight=False)
    with ray_session(request.address):
        resources = trial_resources(config, cluster_nodes(shares_gpus(config)))
        if resources.sharing_note:
            console.print(resources.sharing_note, highlight=False, soft_wrap=True)
        _note(request, store, document, resources)
        plan = _plan_of(request, store, names, document.data.rows, resources)
        order = [trial.name for trial in plan.trials]
        specs = trial_specs(config, store, order, resources, request.until_epoch)
        forget_earlier(store, order)
        forecast = Forecast(config, document.data.rows, resources, request.until_epoch, order)
        done = [one.name for one in store.trials() if one.state is TrialState.FINISHED]
        with ProgressView(store, forecast, console):
            grid = run_trials(
                specs + trial_specs(config, store, done, resources, request.until_epoch),
                resources,
                config.resources.max_failures,
                store,
                on_stop=lambda: console.print(_STOPPING, style="bold", highlight=False),
                trackers=trackers(config, store, document.name, console),
            )
            patiently(config, store.refresh, "reading what the trials have stored")
            record_unexplained(store, specs, errors_of(grid))
        return grid


def _note(
    request: RunRequest, store: RunStore, document: RunDocument, resources: Resources
) -> None:
    """What the run is, and on what it is trained: from here on it is there."""
    store.write(document)
    write_provenance(store.provenance_file, resources, request.address)
    store.publish(PROVENANCE_FILE)


def _finish(config: RunConfig, store: RunStore, until_epoch: int | None, console: Console) -> int:
    from orchestrator.report import write_report

    records = store.trials()
    if all(stage_is_over(store, record.name, until_epoch) for record in records):
        return 0
    index = write_report(store.root)
    patiently(config, lambda: store.publish(REPORT_DIR), "storing the report")
    shown = index if store.storage is None else f"{store.place}/{REPORT_DIR}/{index.name}"
    print_outcome(records, store.place, shown, console)
    return 0 if all(record.state is TrialState.FINISHED for record in records) else 1
