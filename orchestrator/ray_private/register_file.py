"""The form of Ray Train's register of a trial's checkpoints, which Train reads when it begins.

Public `ray.train.Result` reads it too, but nothing public writes it.
"""

import json
from importlib.metadata import version

from trainers.checkpoint_store import CheckpointName, Marker

REGISTER_FILE = "checkpoint_manager_snapshot.json"


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
