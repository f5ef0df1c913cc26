"""Machines for a run that need no Ray: each trial in a forked process here, one after the other.

For what a command does with trials that really train, where it does not matter what carries them.
MobileNet and MobileNetV2 are small nets.
"""

from dataclasses import replace

from rich.console import Console
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.plan import Resources
from orchestrator.run import Machines, RunRequest, refuse_unfit_place
from orchestrator.run_specs import trial_specs
from orchestrator.run_store import RunDocument, RunStore
from tests import small_net
from tests.resuming import PROCESSES
from tests.whole_runs import Run
from trainers.context import LocalContext
from trainers.interruption import STOP_FILE, TrialInterrupted
from trainers.spec import TrialSpec
from trainers.trial import run_trial

_LONGEST_S = 600


def _train(
    request: RunRequest, store: RunStore, document: RunDocument, names: list[str], _: Console
) -> None:
    store.write(document)
    resources = Resources(cpus=1, gpus=0, concurrent=1)
    for spec in trial_specs(request.config, store, names, resources, request.until_epoch):
        process = PROCESSES.Process(target=_trial, args=(replace(spec, threads=1),))
        process.start()
        process.join(_LONGEST_S)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{spec.name} is not over after {_LONGEST_S} s")


def _trial(spec: TrialSpec) -> None:
    small_net.stand_in()
    context = LocalContext(spec.trial_dir, spec.resilience, spec.run_dir / STOP_FILE)
    try:
        run_trial(spec, context)
    except TrialInterrupted:
        return


HERE = Machines(refuse_unfit_place, _train)


def finish_here(run: Run, *more: str, code: int = 0) -> None:
    """Give a run's command in this process; it must end with this exit code."""
    words = run.command(*more)
    done = CliRunner().invoke(app, words[words.index("run-all") :], obj=HERE)
    assert done.exit_code == code, done.output
