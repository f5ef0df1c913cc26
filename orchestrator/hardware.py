"""What this machine has, found without starting anything."""

import os
import shutil
import subprocess


def local_gpus() -> int:
    """NVIDIA GPUs that this process may use; 0 where there is no driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([entry for entry in visible.split(",") if entry.strip() not in ("", "-1")])
    return sum(line.startswith("GPU ") for line in _nvidia_smi("-L"))


def local_gpu_memory() -> int | None:
    """Bytes of the smallest GPU of this machine; None where nothing tells them."""
    lines = _nvidia_smi("--query-gpu=memory.total", "--format=csv,noheader,nounits")
    sizes = [int(line) for line in lines if line.strip().isdecimal()]
    return min(sizes) << 20 if sizes else None


def gpu_driver() -> str | None:
    """The version of NVIDIA's driver; None where there is none."""
    lines = _nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader")
    return lines[0].strip() if lines else None


def _nvidia_smi(*words: str) -> list[str]:
    """The lines that NVIDIA's tool prints; none where there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        return subprocess.run(
            [tool, *words], capture_output=True, text=True, timeout=30, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
