"""All GPU measurements in one run of under ten minutes: tests, convolution algorithms, steps, gradient checks.

    python benchmarks/gpu.py --out results

CuPy must be installed; PyTorch is measured if it is installed. No network access is needed. Each part has a time limit,
and one that fails or is stopped does not stop the others. The output of each part goes to a text file of its name;
measurements are written to a JSON file after each configuration or layer:

- ``tests.txt``: ``pytest -m gpu``
- ``forms.json``: every form of a convolution beside cuDNN's, layer by layer; the thresholds that follow are used from
  then on (``gpu_forms.py --use``)
- ``step.json``: training steps of the paper's DeconvNet at 224×224, batch 64, beside PyTorch
- ``ranks.txt``: several GPUs, where there are some and mpiexec is (``gpu_ranks.py``)
- ``gradcheck.txt``: every operation, layer, loss and model, on the GPU
- ``summary.json``: exit code and time of each part

Training on CamVid is a separate script, ``gpu_camvid.py``. Without a GPU, all of this can be tried on the stand-in:

    PYTHONPATH=tests/standin/path python benchmarks/gpu.py --parts forms step --model squares --size 16 --batch 2
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

LIMITS = {"tests": 150, "forms": 90, "step": 260, "ranks": 60, "gradcheck": 90}
"""Time limit of each part in seconds."""

BUDGET = 570
"""Time limit of all parts together in seconds."""

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    "PYTHONUNBUFFERED": "1",
}


def main():
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default=os.environ.get("OUT", "gpu-results"), help="folder for the results")
    parser.add_argument("--parts", nargs="+", default=list(LIMITS), choices=list(LIMITS))
    parser.add_argument("--model", default="deconvnet")
    parser.add_argument("--size", default="224")
    parser.add_argument("--batch", default="64")
    parser.add_argument("--repeats", default="5", help="steps that are timed")
    arguments = parser.parse_args()
    out = Path(arguments.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    begin, summary, ended_well = time.monotonic(), describe(), True
    for name, command in commands(arguments, out, summary["gpus"]).items():
        if command is None:
            summary[name] = "left out"
        else:
            left = BUDGET - (time.monotonic() - begin)
            summary[name] = run(command, out / f"{name}.txt", min(LIMITS[name], left))
            ended_well = ended_well and summary[name]["exit"] == 0
        print(f"{name}: {summary[name]}", flush=True)
        (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return int(not ended_well)


def commands(arguments, out, gpus):
    """Return the command line of each part; None if this machine cannot run it."""
    network = ["--model", arguments.model, "--size", arguments.size, "--batch", arguments.batch]
    step = ["bench", "step", "--device", "gpu", *network, "--classes", "21", "--repeats", arguments.repeats]
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    several = [mpiexec, "-n", str(len(gpus)), sys.executable, "benchmarks/gpu_ranks.py", *network[:4]]
    several += ["--batch", str(max(2, int(arguments.batch) // 2))]
    every = {
        "tests": [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/devices"],
        "forms": [sys.executable, "benchmarks/gpu_forms.py", str(out / "forms.json"), "--use"],
        "step": [sys.executable, "-m", "scratchnet", *step, "--json", str(out / "step.json")],
        "ranks": several if mpiexec and len(gpus) > 1 else None,
        "gradcheck": [sys.executable, "-m", "scratchnet", "gradcheck", "--device", "gpu"],
    }
    return {name: every[name] for name in LIMITS if name in arguments.parts}


DESCRIBE = """
import json, cupy
device = cupy.cuda.runtime
gpus = [device.getDeviceProperties(i)["name"].decode() for i in range(device.getDeviceCount())]
print(json.dumps({"gpus": gpus, "cupy": cupy.__version__, "cuda": device.runtimeGetVersion()}))
"""


def describe():
    """Return the GPUs and versions as CuPy reports them."""
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"gpus": [], "cupy": (done.stderr.strip().splitlines() or ["?"])[-1]}
    return json.loads(done.stdout)


def run(command, file, seconds):
    """Run a command with its output in ``file``; return exit code and seconds, and end all of its processes."""
    begin = time.monotonic()
    with file.open("w", encoding="utf-8") as text:
        child = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=text, stderr=text, start_new_session=True
        )  # in a new session, so that its child processes can be killed with it and free the GPU
        try:
            code: int | str = child.wait(max(1, seconds))
        except subprocess.TimeoutExpired:
            code = "out of time"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return {"exit": code, "seconds": round(time.monotonic() - begin, 1)}


if __name__ == "__main__":
    sys.exit(main())
