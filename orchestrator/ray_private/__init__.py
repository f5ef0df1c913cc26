"""The room for what is used of Ray beyond its public API: four names, and the form of one file.

- `ray._private.state`: who made a placement group, and what KubeRay may grow to (`cluster_state`);
- `DataParallelTrainer._initialize_and_run_controller` and `TrainController`, which it starts: two
  helpers less a trial, and a controller that is kept (`lean_trainer`);
- `/ray.rpc.InternalKVGcsService`: whether a head wants a token, told at once (`head_question`);
- `checkpoint_manager_snapshot.json`: Train's register of checkpoints put right (`register_file`).

Public API has nothing for them. No other module uses any, and `tests/test_ray_private.py` fails
where one has moved: look there first when Ray is upgraded.
"""
