"""Runs first in each Python process that tests start: leaves out what Ray does not need here.

With each head Ray starts an autoscaler, three processor seconds of imports, on one machine too,
which has no nodes to start. And a worker on TensorFlow imports JAX and Matplotlib where they are
installed, two seconds; here it is as where they are not. `make test-cluster` has them all.
"""

import os
import sys

_WORDS = " ".join(sys.orig_argv)

if "autoscaler/_private/monitor.py" in _WORDS or "autoscaler/v2/monitor.py" in _WORDS:
    os._exit(0)
if "workers/default_worker.py" in _WORDS and os.environ.get("KERAS_BACKEND") != "jax":
    for name in ("jax", "matplotlib"):
        sys.modules[name] = None  # type: ignore[assignment]
