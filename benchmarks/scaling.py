"""Time and memory of a training step against the size of the images and their number, beside PyTorch.

    python benchmarks/scaling.py [--model unet-same --width 0.25] [--sizes 64 128 256 512] [--batches 1 2 4 8 16 32]
        [--size 128] [--repeats 5] [--json scaling.json] [--out scaling.png]

Prints microseconds and kilobytes for a thousand pixels, which stay the same where the cost is linear, and draws both.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks.harness.implementation_names import LAYOUTS, SCRATCHNET
from benchmarks.harness.network_cases import NetworkCase, network_case
from benchmarks.harness.session import Session, start_session
from benchmarks.harness.step import measure_step
from scratchnet.config import OptimizerName
from scratchnet.visualization.style import MUTED, ROLES, panels

SGD: OptimizerName = "sgd"


@dataclass(frozen=True)
class Point:
    """Cost of a step on one batch: milliseconds and megabytes, of scratchnet and of PyTorch (the better layout)."""

    size: int
    batch: int
    ms: float
    mb: float
    torch_ms: float
    torch_mb: float

    @property
    def pixels(self) -> float:
        """Thousands of pixels."""
        return self.size * self.size * self.batch / 1000


def measure_point(case: NetworkCase, session: Session) -> Point:
    """Measure one batch."""
    found = measure_step(case, session, SGD, memory=True, compiled=False, say=print)
    ms = {name: 1e3 * timing.median for name, timing in found.timings.items()}
    mb = {name: use.peak / 1e6 for name, use in found.memory_use.items()}
    theirs = [name for name in LAYOUTS if name in ms]
    nothing = float("nan")
    return Point(
        case.size[0],
        case.batch,
        ms[SCRATCHNET],
        mb.get(SCRATCHNET, nothing),
        min((ms[name] for name in theirs), default=nothing),
        min((mb[name] for name in theirs if name in mb), default=nothing),
    )


def draw(axis: Axes, points: list[Point], value: str, across: str) -> None:
    """Draw one cost against the size or the batch, and a line on which it would be linear in the pixels."""
    x = [getattr(point, across) for point in points]
    y = [getattr(point, value) for point in points]
    linear = [y[-1] * point.pixels / points[-1].pixels for point in points]
    axis.plot(x, linear, color=MUTED, linewidth=1, linestyle=":", label="linear in the pixels")
    axis.plot(
        x,
        [getattr(point, f"torch_{value}") for point in points],
        color=ROLES["truth"],
        marker="s",
        markersize=4,
        linewidth=1,
        label="PyTorch",
    )
    axis.plot(x, y, color=ROLES["output"], marker="o", markersize=4, label="scratchnet")
    axis.set(
        xscale="log",
        yscale="log",
        ylabel={"ms": "milliseconds a step", "mb": "peak memory in MB"}[value],
        xlabel={"size": "height and width of one image", "batch": "images in a batch"}[across],
    )
    axis.set_xticks(x)
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(ScalarFormatter())
        one.set_minor_formatter(NullFormatter())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet-same")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512], help="of a batch of one image")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="of images of --size")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure, print and draw."""
    a = arguments()
    session = start_session(a.repeats, quick=False)
    print(session.heading())
    print(" " * 14 + "".join(f"{part:>10}{'per 1000 px':>13}{'PyTorch':>10}" for part in ("time", "memory")))
    series: dict[str, list[Point]] = {"size": [], "batch": []}
    for across, size, batch in [("size", s, 1) for s in a.sizes] + [("batch", a.size, b) for b in a.batches]:
        point = measure_point(network_case(a.model, (size, size), batch, options={"width": a.width}), session)
        series[across].append(point)
        time = f"{point.ms:>7.1f} ms{1e3 * point.ms / point.pixels:>10.1f} µs{point.torch_ms:>7.1f} ms"
        memory = f"{point.mb:>7.0f} MB{1e3 * point.mb / point.pixels:>10.1f} kB{point.torch_mb:>7.0f} MB"
        print(f"{f'{batch}×{size}×{size}':>14}{time}{memory}", flush=True)
    if a.json:
        rows = {across: [asdict(point) for point in points] for across, points in series.items()}
        content = {**session.about(), "model": a.model, "width": a.width, "command": " ".join(sys.argv), **rows}
        a.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if a.out:
        figure, axes = panels(8, 6, 2, 2)
        for axis, (value, across) in zip(
            axes, [("ms", "size"), ("ms", "batch"), ("mb", "size"), ("mb", "batch")], strict=True
        ):
            draw(axis, series[across], value, across)
        axes[0].legend(frameon=False)
        figure.savefig(a.out, dpi=120)


if __name__ == "__main__":
    main()
