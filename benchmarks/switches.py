"""What each switch of a trial does to its speed and to its result.

    python benchmarks/switches.py WORKDIR [--only mobilenetv2,resnet50] [--steps 40] [--learn 6]

First, for each architecture and switch, a trial of the demo's recipe: seconds to its first step,
and its steady rate beside that of a trial without the switch, measured right before. Then MobileNet
learns 2,000 drawn faces of 64 pixels in `--learn` epochs (0: not at all): accuracy and loss on 400
others, and those of another seed, which say how much of a difference is chance. Prints Markdown.
JAX is left out where it is not installed.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

from bench_work import Bench, trained

from datasets.prepare import synth

SWITCHES: dict[str, tuple[str, ...]] = {
    "`recipe.deterministic: false`": ("deterministic=false",),
    "`recipe.precision: mixed_bfloat16`": ("precision=mixed_bfloat16",),
    "`recipe.precision: mixed_float16`": ("precision=mixed_float16",),
    "`recipe.xla: true`, `deterministic: false`": ("xla=true", "deterministic=false"),
    "`data.prefetch_batches: 0`": ("prefetch_batches=0",),
    "`data.prefetch_batches: 8`": ("prefetch_batches=8",),
}
JAX = "`KERAS_BACKEND=jax`"
LEARNING = ("image_size=64", "batch_size=16", "learning_rate=0.001", "batch_norm_momentum=0.9")


def one(work: Path, name: str, settings: tuple[str, ...], *words: object) -> dict[str, float]:
    """Figures of a trial with a switch; `settings` may be JAX's."""
    on_jax = settings == (JAX,)
    chosen = [word for setting in settings if not on_jax for word in ("--set", setting)]
    environment = {"KERAS_BACKEND": "jax"} if on_jax else None
    return trained("trial", work, name, *chosen, *words, environment=environment)


def speed(work: Path, names: list[str], switches: dict[str, tuple[str, ...]]) -> None:
    """Print the table of first steps and rates."""
    print("| architecture | switch | first step, s | images/s | without | ratio |")
    print("|---|---|--:|--:|--:|--:|", flush=True)
    for name in names:
        for switch, settings in switches.items():
            plain, switched = one(work, name, ()), one(work, name, settings)
            rates = switched["images_per_s"], plain["images_per_s"]
            cells = f"{switched['first_step_s']:.1f} | {rates[0]:.1f} | {rates[1]:.1f}"
            print(f"| {name} | {switch} | {cells} | {rates[0] / rates[1]:.2f} |", flush=True)


def learning(work: Path, epochs: int, switches: dict[str, tuple[str, ...]]) -> None:
    """Print the table of results."""
    shards = work / "shards"
    if not shards.exists():
        synth(shards, train=2000, validation=400, size=64, seed=0)
    print("\n| switch | accuracy | loss |\n|---|--:|--:|")
    always = [word for setting in LEARNING for word in ("--set", setting)]
    for switch, settings in {"none": (), **switches}.items():
        found = one(work, "mobilenet", settings, *always, "--epochs", epochs)
        print(f"| {switch} | {found['accuracy']:.1%} | {found['loss']:.2f} |", flush=True)
    found = one(work, "mobilenet", (), *always, "--epochs", epochs, "--seed", 1)
    print(f"| none, another seed | {found['accuracy']:.1%} | {found['loss']:.2f} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", default="mobilenetv2,resnet50")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learn", type=int, default=6)
    chosen = parser.parse_args()
    switches = SWITCHES | ({JAX: (JAX,)} if find_spec("jax") else {})
    bench = Bench(chosen.work)
    if chosen.only:
        speed(bench.images(chosen.steps), chosen.only.split(","), switches)
    if chosen.learn:
        learning(chosen.work / "learning", chosen.learn, switches)


if __name__ == "__main__":
    main()
