"""Scripts of pages under Node.js, where it is installed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scratchnet.visualization.html import asset
from scratchnet.visualization.web_app import find_runtime
from scratchnet.visualization.web_app.runtime import SCRIPT

WEB = "SCRATCHNET_ORT_WEB"
"""Variable with the folder of onnxruntime-web, if it is not in node_modules of the current folder."""


def run(scripts, code, **data):
    """Run scripts of the package, then ``code`` in an async function with ``data``, and return what it returns."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node.js")
    texts = "\n".join(asset(name) for name in scripts)
    names = ", ".join(data)
    call = f"(async ({{ {names} }}) => {{ {code} }})({json.dumps(data)})"
    text = f"{texts}\n{call}.then((found) => console.log(JSON.stringify(found)))"
    done = subprocess.run([program, "-"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def runtime_folder():
    """The folder of onnxruntime-web's files; skips the test where it is not installed."""
    start = Path(os.environ.get(WEB, "."))
    for place in (start, start / "dist", start / "node_modules" / "onnxruntime-web" / "dist"):
        if (place / SCRIPT).is_file():
            return place
    pytest.skip(f"needs onnxruntime-web, in node_modules or named by {WEB}")


def runtime():
    """onnxruntime-web; skips the test where it is not installed."""
    return find_runtime(runtime_folder())
