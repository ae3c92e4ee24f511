"""Turn a checkpoint into a file for the box: parameters as float16, no optimiser, no paths, no history.

    python benchmarks/pack_network.py RUN/checkpoint.npz --name nuclei [--data nuclei] [--out scratchnet/networks]

The card beside it is written by hand. Prints the size of the file and the largest rounding error of a parameter.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from scratchnet.training import load_checkpoint, save_checkpoint


def main() -> None:
    """Pack the checkpoint that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", default="nuclei", help="name of the data set, stored instead of its path")
    parser.add_argument("--out", type=Path, default=Path("scratchnet/networks"))
    a = parser.parse_args()
    checkpoint = load_checkpoint(a.checkpoint)
    stored = checkpoint.spec.settings
    settings = {
        **stored,
        "out": "run",
        "data": {**stored["data"], "data": a.data},
        "training": {**stored["training"], "start_from": None},
    }
    data = {key: value for key, value in checkpoint.spec.data.items() if key != "held_out"}
    spec = replace(checkpoint.spec, settings=settings, data=data)
    target = a.out / f"{a.name}.npz"
    save_checkpoint(target, replace(checkpoint, spec=spec, progress={}, optimizer_state={}), half=True)
    exact, rounded = (c.network.flat().values for c in (checkpoint, load_checkpoint(target)))
    error = np.abs(exact - rounded).max()
    print(f"wrote {target}, {target.stat().st_size:,} bytes; parameters differ by at most {error:.1e}")


if __name__ == "__main__":
    main()
