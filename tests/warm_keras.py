"""Imported once by the process that trials of `resuming` are forked from: Keras takes seconds.

It starts nothing of TensorFlow: what a trial sets up, each sets up for itself.
"""

import gc

from trainers import backend

backend.set_environment()

# What a trial imports at its first step, its first epoch's end, and its end.
import sklearn.metrics  # noqa: E402, F401
import tensorboard.summary  # noqa: E402, F401

import trainers.fitting  # noqa: E402, F401  (it imports Keras, and needs the environment)
from tests import interrupted_trial  # noqa: E402, F401

# A collection in a forked process would copy the pages of all that is here.
gc.freeze()
