"""The data of a run as its manifest tells of them, for `run.yaml` and the report."""

from datasets.folder import Folder
from datasets.manifest import Manifest
from orchestrator.run_store import RunData


def run_data(shards: Folder, manifest: Manifest, audit: str) -> RunData:
    """What a run keeps of the shards that it trains on; `audit` is what one has found, in words."""
    return RunData(
        shards=str(shards),
        fingerprint=manifest.fingerprint,
        image_size=manifest.image_size,
        encoding=manifest.encoding,
        classes={str(split): counts for split, counts in manifest.classes.items()},
        source=manifest.source,
        preparation=_preparation(manifest),
        audit=audit,
    )


def _preparation(manifest: Manifest) -> dict[str, str]:
    """How the data came to be what they are, for people; empty values are left out."""
    left_out = (f"{reason}: {count:,}" for reason, count in manifest.excluded.items())
    noticed = (f"{remark}: {count:,}" for remark, count in manifest.remarks.items())
    told = {
        "source": manifest.source,
        "layout": str(manifest.request.get("layout") or ""),
        "labels": manifest.labels_told,
        "split": manifest.division,
        "left out": "; ".join(left_out),
        "rows rejected": f"{manifest.rejected:,}" if manifest.rejected else "",
        "noticed": "; ".join(noticed),
    }
    return {name: text for name, text in told.items() if text}
