"""Everything that needs a GPU, in one call of under ten minutes: tests, gradient checks, steps beside PyTorch, forms.

    python benchmarks/gpu.py --out results

CuPy must be installed; PyTorch takes part in the steps where it is. No network is used. Each part has its own limit of
time and its own file in the folder, and a part that fails does not keep the next from running:

- ``tests.txt``: ``pytest -m gpu``
- ``gradcheck.txt``: every operation, layer, loss and model, on the GPU
- ``step.json``, ``step.txt``: training steps of the paper's DeconvNet at 224×224, batch 64
- ``forms.json``, ``forms.txt``: every form of a convolution on the layers of that network (``gpu_forms.py``)
- ``summary.json``: how each part ended, and how long it took
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

BUDGET = 570
"""Seconds for all parts."""


def main():
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=os.environ.get("OUT", "gpu-results"), help="folder for the results")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5, help="steps that are timed")
    arguments = parser.parse_args()
    out = Path(arguments.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    network = ["--model", "deconvnet", "--size", "224", "--classes", "21", "--batch", str(arguments.batch)]
    step = ["bench", "step", "--device", "gpu", *network, "--repeats", str(arguments.repeats)]
    parts = {
        "tests": (150, ["-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/devices"]),
        "step": (300, ["-m", "scratchnet", *step, "--json", str(out / "step.json")]),
        "forms": (60, ["benchmarks/gpu_forms.py", str(out / "forms.json")]),
        "gradcheck": (90, ["-m", "scratchnet", "gradcheck", "--device", "gpu"]),
    }
    begin, summary = time.monotonic(), {"gpu": describe()}
    for name, (limit, command) in parts.items():
        left = BUDGET - (time.monotonic() - begin)
        summary[name] = run(command, out / f"{name}.txt", min(limit, left))
        print(f"{name}: {summary[name]}", flush=True)
        (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return int(any(summary[name]["exit"] != 0 for name in parts))


def describe():
    """Return what the driver says of the GPU."""
    words = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except OSError as error:
        return str(error)


def run(command, file, seconds):
    """Run Python with what it says going to ``file``; return how it ended."""
    begin = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with file.open("w") as text:
        try:
            code = subprocess.run(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=text, stderr=text,
                timeout=max(1, seconds), check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = "out of time"
    return {"exit": code, "seconds": round(time.monotonic() - begin, 1)}


if __name__ == "__main__":
    sys.exit(main())
