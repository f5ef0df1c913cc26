"""Measures the data path at AffectNet's full size: prepare, verify, audit, stage.

`python benchmarks/data_scale.py WORKDIR` draws the faces in AffectNet's own layout into
WORKDIR/source (kept, and used again), runs each step as a user would, and writes WORKDIR/result.md
and result.json. What the steps make lies in WORKDIR/made, which is emptied first, what they print
in WORKDIR/logs. Exits with 1 if a step fails or a promise of `data_result.py` is not kept.
"""

import argparse
import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_baselines import decode_baseline, prepare_baseline, sample_of
from data_result import Result, StagingLimit
from measuring import BenchmarkError, Step, Ticker, disk_mb_per_s, run_step, say

from datasets.errors import ConfigError, FerOrchError
from datasets.images import decoder_name
from datasets.labels import EXPRESSIONS
from datasets.manifest import SPLITS, Manifest, read_manifest
from datasets.parallel import num_cores
from datasets.synthetic import Request, Truth, write_layout

LAYOUT = "affectnet-2017"

_DATA = ("-m", "orchestrator", "data")
_RAW_WRITE_BYTES = 4 << 30
# As `run-all` calls it before the trials start: a process that may use all cores.
_STAGE = (
    "import sys; from pathlib import Path; from datasets.cache import stage; "
    "stage(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), mode='decoded')"
)


@dataclass(frozen=True)
class Benchmark:
    """One run; the figures go to `result`."""

    work: Path
    request: Request
    workers: int | None
    """Of prepare and audit; None: as they choose."""
    result: Result

    @property
    def made(self) -> Path:
        """The folder of all that the steps make."""
        return self.work / "made"

    @property
    def shards(self) -> Path:
        """The folder of the shards."""
        return self.made / "shards"

    def run(self) -> None:
        """Measure everything. Raises `BenchmarkError`, `FerOrchError` or `OSError`."""
        known = drawn_source(self.work, self.request)
        images = sum(sum(classes.values()) for classes in known["classes"].values())
        self._prepare(images)
        manifest = read_manifest(self.shards)
        _check_counts(manifest, known)
        self._step("verify", (*_DATA, "verify", str(self.shards)), images, self.shards)
        self._audit(images)
        self._stage(manifest)

    def _step(
        self, name: str, command: tuple[str, ...], images: int, reads: Path, *writes: Path
    ) -> Step:
        log = self.work / "logs" / f"{name}.log"
        step = run_step(name, command, images=images, log=log, reads=reads, writes=writes)
        self.result.steps.append(step)
        return step

    def _prepare(self, images: int) -> None:
        """Run prepare, with the bare loop before and after it: these machines are noisy."""
        source = self.work / "source"
        before = self._bare_loop("bare loop before", source)
        options = ("--layout", LAYOUT, "--size", str(self.request.size), "--format", "arrow")
        command = (*_DATA, "prepare", str(source), str(self.shards), *options, *self._workers())
        prepared = self._step("prepare", command, images, source, self.shards)
        after = self._bare_loop("bare loop after", source)
        rates = {"before": before.images_per_s, "after": after.images_per_s}
        rates["mean"] = (rates["before"] + rates["after"]) / 2
        ratios = {name: prepared.images_per_s / rate for name, rate in rates.items()}
        self.result.ratios.update(ratios)

    def _bare_loop(self, name: str, source: Path) -> Step:
        workers = self.workers or num_cores()
        step = prepare_baseline(name, sample_of(source), self.request.size, workers)
        self.result.steps.append(step)
        return step

    def _audit(self, images: int) -> None:
        table, sheet = self.made / "audit.csv", self.made / "audit.png"
        outputs = ("--csv", str(table), "--sheet", str(sheet), *self._workers())
        command = (*_DATA, "audit", str(self.shards), *outputs)
        self._step("audit", command, images, self.shards, table, sheet)

    def _stage(self, manifest: Manifest) -> None:
        cache, size = self.made / "cache", self.request.size
        cache.mkdir()
        decode = decode_baseline(self.shards, manifest)
        self.result.steps.append(decode)
        image_bytes = size * size * 3
        disk = disk_mb_per_s(cache, min(_RAW_WRITE_BYTES, manifest.num_rows * image_bytes))
        command = ("-c", _STAGE, str(self.shards), str(cache), str(size))
        staged = self._step("stage", command, manifest.num_rows, self.shards, cache)
        rates = decode.images_per_s, disk, disk * 1e6 / image_bytes, staged.images_per_s
        self.result.staging = StagingLimit(*rates)

    def _workers(self) -> tuple[str, ...]:
        return () if self.workers is None else ("--workers", str(self.workers))


def drawn_source(work: Path, request: Request) -> dict[str, Any]:
    """Draw WORKDIR/source unless it is there; return what `prepare` must find in it."""
    source, half, marker = work / "source", work / "source.half", work / "source.json"
    asked = {"layout": LAYOUT, **asdict(request)}
    if source.exists():
        known = json.loads(marker.read_text()) if marker.exists() else {}
        if known.get("request") != asked:
            raise BenchmarkError(
                f"{source} holds other faces ({known.get('request')}) than {asked}: delete it, or "
                "choose another WORKDIR"
            )
        say(f"faces: those in {source} are used again")
        return dict(known)
    shutil.rmtree(half, ignore_errors=True)
    truth = write_layout(half, LAYOUT, request, Ticker("drawing faces"))
    known = {"request": asked, **_expected(truth)}
    marker.write_text(json.dumps(known, indent=1))
    half.rename(source)  # Last: a source that is there is complete.
    return known


def _expected(truth: Truth) -> dict[str, Any]:
    counts = Counter((kept.split, EXPRESSIONS[kept.label]) for kept in truth.kept.values())
    classes = {split: {name: counts[split, name] for name in EXPRESSIONS} for split in SPLITS}
    excluded = dict(sorted(truth.excluded.items()))
    return {"classes": classes, "excluded": excluded, "rejected": truth.rejected.total()}


def _check_counts(manifest: Manifest, known: dict[str, Any]) -> None:
    for name in ("classes", "excluded", "rejected"):
        found, drawn = getattr(manifest, name), known[name]
        if found != drawn:
            raise BenchmarkError(f"prepare found {name} {found}, drawn were {drawn}")


def _machine(workers: int) -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": f"{num_cores()} core(s)",
        "cpu": models[0] if models else "unknown CPU",
        "memory": f"{memory:.0f} GiB memory",
        "workers": f"{workers} worker(s)",
        "decoder": decoder_name(),
    }


def _arguments() -> tuple[argparse.Namespace, Request]:
    """Return the arguments, and what they ask to draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workdir", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--train", type=int, default=287_651)
    parser.add_argument("--validation", type=int, default=4_000)
    parser.add_argument("--size", type=int, default=224, help="of faces and of shards, pixels")
    parser.add_argument("--workers", type=int, help="of prepare and audit; one for each core")
    parser.add_argument("--keep", action="store_true", help="keep shards and cache")
    args = parser.parse_args()
    if args.size < 1 or (args.workers is not None and args.workers < 1):
        parser.error("--size and --workers: give at least 1")
    try:
        return args, Request(args.train, args.validation, args.size)
    except ConfigError as error:
        parser.error(str(error))


def main() -> int:
    """Measure and write the results; return 1 if something failed or a promise is not kept."""
    args, request = _arguments()
    work = args.workdir.resolve()
    result = Result({"layout": LAYOUT, **asdict(request)}, _machine(args.workers or num_cores()))
    benchmark = Benchmark(work, request, args.workers, result)
    shutil.rmtree(benchmark.made, ignore_errors=True)
    benchmark.made.mkdir(parents=True)
    (work / "logs").mkdir(exist_ok=True)
    try:
        benchmark.run()
    except (BenchmarkError, FerOrchError, OSError) as error:
        result.problems.append(str(error))
    finally:
        if not args.keep:
            shutil.rmtree(benchmark.made)
    result.check()
    (work / "result.md").write_text(result.markdown(), encoding="utf-8")
    (work / "result.json").write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    print(f"\n{result.markdown()}", end="")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
