"""Nodes are asked on a Ray of this machine: what is answered, and what is not."""

import os

import pytest

from tests.scripts import answer_of

ASKING = """
import json, os, time
from orchestrator.ray_environment import prepare_environment
prepare_environment(None)
import ray
from orchestrator import ray_nodes, ray_run
from orchestrator.ray_ask import NoAnswerError, ask_each
from trainers.backend import keras_backend

def fail():
    raise ValueError("a fault of its own")

def asked(question, patience_s=60, *words):
    answers = ask_each(question, ray.nodes() * 2, patience_s, *words)
    return [f"no: {one}" if isinstance(one, NoAnswerError) else one for one in answers]

ray_run.local_gpus = lambda: 1
with ray_run.ray_session(None):
    busy = ray.remote(num_cpus=0, num_gpus=1)(lambda: time.sleep(600)).remote()
    said = {
        "backend": asked(keras_backend),
        "words": asked(os.path.join, 60, "one", "two"),
        "error": asked(fail),
        "crash": asked(lambda: os._exit(1)),
        "late": asked(lambda: time.sleep(600), 3),
        "nobody": ask_each(keras_backend, [], 60),
        "sizes": [node.gpu_memory for node in ray_nodes.cluster_nodes(gpu_memory=True)],
    }
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """What came of each question, asked twice of a node whose GPU is taken."""
    tools = tmp_path_factory.mktemp("tools")
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 16384\necho 15360\n")
    (tools / "nvidia-smi").chmod(0o755)
    own = {"KERAS_BACKEND": "jax", "PATH": f"{tools}:{os.environ['PATH']}"}
    return dict(answer_of(ASKING, **own))


@pytest.mark.slow
def test_a_node_answers_with_the_askers_backend(said: dict[str, list[object]]):
    assert said["backend"] == ["jax", "jax"]
    assert said["words"] == ["one/two", "one/two"]
    assert said["nobody"] == []
    assert said["sizes"] == [15360 << 20]


@pytest.mark.slow
def test_a_node_that_does_not_answer_has_the_reason(said: dict[str, list[object]]):
    assert said["error"] == ["no: ValueError: a fault of its own"] * 2
    assert said["late"] == ["no: nothing came back in time; see its Ray logs"] * 2
    for reason in said["crash"]:
        assert str(reason).startswith("no: ")
