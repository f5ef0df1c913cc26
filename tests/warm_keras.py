"""Imported once by the process that trials of `resuming` are forked from: Keras takes seconds.

It starts nothing of TensorFlow: what a trial sets up, each sets up for itself.
"""

from trainers import backend

backend.set_environment()

import trainers.fitting  # noqa: E402, F401  (it imports Keras, and needs the environment)
from tests import interrupted_trial  # noqa: E402, F401
