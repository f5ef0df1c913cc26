"""Ray Train's register of a trial's checkpoints, put right before Train reads it.

Train writes it in place, after each checkpoint, and refuses one that is cut short, was written by
another version of Ray, or names what is gone. And it knows nothing of a checkpoint that was stored
in the moment when its worker died. So what lies there whole is what counts: the register is written
anew from that.
"""

from itertools import islice

from datasets.folder import write_bytes
from orchestrator.ray_private.register_file import REGISTER_FILE, register_of
from trainers.checkpoint_store import KEEP, CheckpointStore


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
