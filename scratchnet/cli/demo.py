"""``scratchnet demo``: training, evaluation and segmentation in about a minute."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.cli.parsing import parse, say
from scratchnet.cli.segment import MASK
from scratchnet.cli.train import train
from scratchnet.config import TrainSettings, read_settings
from scratchnet.data import open_dataset, write_generated, write_image, write_mask
from scratchnet.engine.device import DeviceName, array_module
from scratchnet.inference import Segmenter
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.run_folder import BEST
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import OVERLAY, signature
from scratchnet.visualization.overlays import overlay

IMAGES, SIZE, MAGNIFICATION, SEED = 480, 64, 1.3, 2015


@dataclass(frozen=True)
class DemoArguments:
    """Draw blood smears, train a small DeconvNet to find the stained cells, and evaluate it on unseen smears."""

    out: str = "demo"
    """Folder for images, checkpoint, masks and report."""
    device: DeviceName = "cpu"
    """cpu, or gpu (an NVIDIA GPU, through CuPy)."""
    quick: bool = False
    """Use a sixth of the images and one epoch: shows that everything runs, not how well it works."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(DemoArguments, words, "demo", "scratchnet demo --out demo")
    array_module(arguments.device)  # report a missing GPU before anything is drawn
    out = Path(arguments.out)
    count = IMAGES // 6 if arguments.quick else IMAGES
    _draw(out, count)
    settings = _settings(out, arguments)
    train(settings, title="A small DeconvNet on generated blood cells", restart=True)
    photo = _write_pictures(out)
    if arguments.quick:
        say("--quick only shows that everything runs: after one epoch the network is no better than the baselines")
    say(
        f"open {out / 'report.html'} in a browser; masks and overlays are in {out / 'masks'}, four of them in "
        f"{out / 'examples.png'}; {out / 'forward_pass.gif'} animates the forward pass of one image"
    )
    page = shlex.join(["scratchnet", "explain", str(out / BEST), str(photo), "--out", str(out / "explain.html")])
    say(f"\nfollow a pixel of an unseen image through the network:  {page}")
    say("build such a network yourself, from lesson 1, in the clone:  python lessons/01_pixels_as_labels.py")
    return 0


def _settings(out: Path, arguments: DemoArguments) -> TrainSettings:
    settings = read_settings("demo")
    training = replace(settings.training, device=arguments.device)
    training = replace(training, epochs=1, samples_per_epoch=None, warmup_updates=0) if arguments.quick else training
    return replace(settings, out=str(out), data=replace(settings.data, data=str(out / "data")), training=training)


def _draw(out: Path, count: int) -> None:
    """Draw the images, unless an earlier demo has drawn them already."""
    stamp, images = out / "demo.txt", out / "data"
    note = f"{count} images, {SIZE} px, magnification {MAGNIFICATION}, seed {SEED}\n"
    if not stamp.exists():
        if out.exists() and any(out.iterdir()):
            raise UserError(f"{out}: holds files that are not from a demo; choose another folder with --out")
        with atomic_write(stamp) as file:  # first, so that an interrupted demo can start again
            file.write(note.encode())
    if stamp.read_text(encoding="utf-8") != note:
        raise UserError(f"{out}: holds a demo of another size; delete it or choose another folder with --out")
    if (images / "splits" / "val.txt").exists():  # written last
        return
    if images.exists():
        shutil.rmtree(images)
    say(f"drawing {count} blood smears of {SIZE}×{SIZE} pixels")
    write_generated("cells", images, count, SEED, SIZE, magnification=MAGNIFICATION)


def _write_pictures(out: Path) -> Path:
    """Segment unseen images, draw four of them beside their masks, animate the forward pass of one; return its file."""
    from scratchnet.visualization.animation.forward_pass import forward_pass_frames
    from scratchnet.visualization.plots import examples_figure
    from scratchnet.visualization.saving import save_animation

    checkpoint = load_checkpoint(out / BEST)
    segmenter = Segmenter(checkpoint.network, checkpoint.spec.preprocessing)
    val = open_dataset(out / "data", split="val")
    rows = []
    for index in range(min(16, len(val))):
        image, truth = val.load(index)
        mask = segmenter.segment(image)
        write_mask(out / "masks" / f"{val.names[index]}.png", mask, MASK)
        write_image(out / "masks" / f"{val.names[index]}-overlay.png", overlay(image, mask), OVERLAY)
        rows.append((val.names[index], image, truth, mask))
    with atomic_write(out / "examples.png", "picture") as file:
        examples_figure(rows[:4]).savefig(file, format="png", dpi=100, metadata={"Description": signature("picture")})
    # for the animation: a large object away from the edge
    name, image, _, mask = max(rows, key=lambda row: int((row[3] > 0).sum()) - 9 * int((_edge(row[3]) > 0).sum()))
    prepared = checkpoint.spec.preprocessing.apply(image[None])
    with atomic_write(out / "forward_pass.gif", "animation") as file:
        save_animation(file, forward_pass_frames(checkpoint.network, image, prepared, mask), seconds=0.9)
    return val.samples[val.names.index(name)].image


def _edge(mask: Array) -> Array:
    """Return the outermost pixels of a mask."""
    edge: Array = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return edge
