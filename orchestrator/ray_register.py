"""Ray Train's register of a trial's checkpoints, put right before Train reads it.

Train writes it in place, after each checkpoint, and refuses one that is cut short, was written by
another version of Ray, or names what is gone. And it knows nothing of a checkpoint that was stored
in the moment when its worker died. So what lies there whole is what counts: the register is written
anew from that.
"""

import json
from importlib.metadata import version
from itertools import islice

from datasets.folder import write_bytes
from trainers.checkpoint_store import KEEP, CheckpointName, CheckpointStore, Marker

REGISTER_FILE = "checkpoint_manager_snapshot.json"


def repair(store: CheckpointStore, keep: int = KEEP) -> None:
    """Leave the newest whole checkpoints, at most `keep`, and a register of just these.

    For the driver, while Train does not work on the trial. Raises `OSError` as storage fails.
    """
    store.sweep()
    whole = list(islice(store.whole(), keep))
    kept = {name for name, _ in whole}
    for name in store.names():
        if name not in kept:
            store.remove(name)
    if whole:
        write_bytes(store.folder, REGISTER_FILE, register_of(whole[::-1]))
    else:
        store.folder.remove(REGISTER_FILE)


def register_of(checkpoints: list[tuple[CheckpointName, Marker]]) -> bytes:
    """The register of checkpoints, oldest first, as Ray 2.60 reads it.

    The fields are those of `_CheckpointManagerState` in
    `ray.train.v2._internal.execution.checkpoint.checkpoint_manager`.
    """
    results = [
        {"version": 0, "checkpoint_dir_name": str(name), "metrics": marker.figures}
        for name, marker in checkpoints
    ]
    record = {
        "ray_version": version("ray"),
        "checkpoint_results": results,
        "checkpoint_report_indices": list(range(len(results))),
        "latest_checkpoint_result": results[-1],
        "pending_training_results": [],
        "pending_validation_specs": [],
        "current_report_index": len(results),
        "validated_checkpoint_dir_names": [],
        "timed_out_validation_checkpoint_dir_names": [],
        "failed_validation_checkpoint_dir_names": [],
    }
    return json.dumps(record).encode()
