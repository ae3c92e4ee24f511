"""What is tried: for each kind of input a function that makes one and says what is done with it."""

import io
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from scratchnet.cli.data import FolderArguments, WeightsArguments
from scratchnet.cli.evaluate import EvaluateArguments
from scratchnet.cli.explain import ExplainArguments
from scratchnet.cli.export import ExportArguments
from scratchnet.cli.flags import flags_of
from scratchnet.cli.models import ModelsArguments
from scratchnet.cli.segment import SegmentArguments
from scratchnet.cli.train import TrainArguments
from scratchnet.config import check_settings, read_settings
from scratchnet.data import read_mask
from scratchnet.interop.weight_files import read_weights
from tests.fuzz.mutations import ABSURD, TEXTS, damaged, damaged_text, damaged_zip, encoded, with_checksums
from tests.fuzz.seeds import BOXES, BOXES_JSON, copy_set

RAN = "ran"
"""The file that a pickle writes if it is run."""


@dataclass
class Trial:
    """One input.

    Attributes
    ----------
    words : list of str
        Of the command line; empty where ``call`` is tried.
    call : callable or None
        A function of the library, which may raise a UserError.
    judge : callable
        Returns what is wrong with an accepted input's results, "" for nothing.
    own : str
        The folder whose files an accepted command may replace.
    """

    words: list
    call: Callable | None = None
    judge: Callable = lambda: ""
    own: str = "out"


def images(rng, seeds, box):
    """Segment a damaged image, alone or as part of a set that is checked."""
    name, data = _damaged_file(rng, seeds.images)
    ranged = ["--range", "0", "48000"] if rng.random() < 0.2 else []
    if rng.random() < 0.3:
        copy_set(seeds, box / "set")
        (box / "set" / "images" / "s1.png").unlink()
        (box / "set" / "images" / f"s1{Path(name).suffix}").write_bytes(data)
        return Trial(["data", "check", "set", *ranged])
    (box / name).write_bytes(data)
    words = ["segment", str(seeds.checkpoint), name, "--out", "out"]
    return Trial(words, judge=lambda: _mask_problem(Path(name), Path("out") / f"{Path(name).stem}.png"))


def masks(rng, seeds, box):
    """Read a damaged mask, alone or as part of a set that is checked."""
    name, data = _damaged_file(rng, seeds.masks)
    form = ("index", "index", "binary", "threshold", "rgb-index")[rng.integers(5)]
    if rng.random() < 0.4:
        copy_set(seeds, box / "set")
        (box / "set" / "masks" / "s1.png").unlink()
        (box / "set" / "masks" / f"s1{Path(name).suffix}").write_bytes(data)
        return Trial(["data", "check", "set", "--mask-format", form])
    (box / name).write_bytes(data)
    found = []
    return Trial(
        [], lambda: found.append(read_mask(name, format=form)), lambda: _size_problem(Path(name), found[0].shape[:2])
    )


def folders(rng, seeds, box):
    """Check a data set whose lists, classes, boxes or objects are damaged, or which has odd files beside them."""
    copy_set(seeds, box / "set")
    root = box / "set"
    for _ in range(int(rng.integers(1, 3))):
        deed = rng.integers(6)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        texts = [path for path in files if path.suffix in {".txt", ".csv"}]
        if deed <= 2 and texts:
            path = texts[rng.integers(len(texts))]
            text = path.read_bytes().decode("utf-8", "replace")
            path.write_bytes(encoded(damaged_text(text, rng), rng))
        elif deed == 3:
            path = files[rng.integers(len(files))]
            path.write_bytes(damaged(path.read_bytes(), [other.read_bytes() for other in files], rng))
        elif deed == 4:
            _add_odd_file(root, rng)
        else:
            path = files[rng.integers(len(files))]
            path.rename(path.with_name(_odd_name(path, rng)))
    choice = rng.random()
    if choice < 0.7:
        return Trial(["data", "check", "set"])
    if choice < 0.8:
        return Trial(["data", "weights", "set"])
    if choice < 0.9:
        return Trial(["evaluate", str(seeds.checkpoint), "--data", "set", "--objects"])
    return Trial(["evaluate", str(seeds.checkpoint), "--data", "set", "--proposals", _boxes(rng, box)])


def checkpoints(rng, seeds, box):
    """Use a damaged checkpoint, or go on with a damaged run."""
    if rng.random() < 0.2:
        shutil.copytree(seeds.root / "run", box / "run")
        path = box / "run" / ("last.npz", "checkpoint.npz", "config.toml", "log.csv")[rng.integers(4)]
        data = path.read_bytes()
        path.write_bytes(damaged_zip(data, rng) if path.suffix == ".npz" and rng.random() < 0.6 else
                         damaged(data, [data], rng))  # fmt: skip
        return Trial(["train", "--resume", "--out", "run"], own="run")
    data = seeds.checkpoint.read_bytes()
    (box / "c.npz").write_bytes(damaged_zip(data, rng) if rng.random() < 0.7 else damaged(data, _npz(seeds), rng))
    image = str(seeds.root / "set" / "images" / "s1.png")
    choices = (
        ["segment", "c.npz", image, "--out", "out"],
        ["models", "c.npz"],
        ["evaluate", "c.npz", "--data", str(seeds.root / "set")],
    )
    return Trial(choices[rng.integers(len(choices))])


def weights(rng, seeds, box):
    """Read a damaged file of weights, at times one that would run a program."""
    name, data = _damaged_file(rng, seeds.weights)
    choice = rng.random()
    if choice < 0.3:
        data = damaged_zip(seeds.weights[("zip.pth", "parameters.pth", "a.npz")[rng.integers(3)]], rng)
    elif choice < 0.4:
        data = pickle.dumps(_Program(), protocol=int(rng.integers(5)))
        data = (data, seeds.weights["old.pth"][: int(rng.integers(400))] + data)[rng.integers(2)]
    (box / name).write_bytes(data)
    return Trial([], lambda: read_weights(name))


def configs(rng, seeds, box):
    """Read settings from a damaged TOML file."""
    text = list(seeds.texts.values())[rng.integers(len(seeds.texts))]
    data = encoded(damaged_text(text, rng), rng)
    if rng.random() < 0.15:
        data = damaged(data, [other.encode() for other in seeds.texts.values()], rng)
    (box / "c.toml").write_bytes(data)
    if rng.random() < 0.3:
        return Trial(["train", "--config", "c.toml", "--data", "nowhere", "--out", "out"])
    return Trial([], lambda: check_settings(read_settings("c.toml")))


def words(rng, seeds, box):
    """Type a damaged command line; no command here takes long, whatever its flags say."""
    shutil.copytree(seeds.root / "set", box / "set")
    shutil.copy(seeds.checkpoint, box / "c.npz")
    start, flags = _commands()[rng.integers(len(_commands()))]
    typed = list(start)
    for _ in range(int(rng.integers(4))):
        flag = flags[rng.integers(len(flags))]
        typed.append(flag.name if not flag.positional else "c.npz")
        typed += [_value(flag, rng) for _ in range(int(rng.integers(3)))]
    for _ in range(int(rng.integers(3))):
        place, deed = int(rng.integers(len(typed) + 1)), rng.integers(4)
        if deed == 0:
            typed[place : place + 1] = []
        elif deed == 1:
            typed.insert(place, _odd_word(rng))
        elif deed == 2:
            typed[place:place] = typed[place : place + 1]
        elif place < len(typed):
            typed[place] = damaged_text(typed[place], rng)
    typed = typed[:1] + [word for word in typed[1:] if not word.startswith("/")]  # nothing outside is written to
    if typed and typed[0] not in {*[start[0] for start, _ in _commands()]}:
        typed[0] = f"x{typed[0]}"  # not by chance a command that takes long
    return Trial(typed)


KINDS = {
    "images": images,
    "masks": masks,
    "folders": folders,
    "checkpoints": checkpoints,
    "weights": weights,
    "configs": configs,
    "words": words,
}


class _Program:
    """Pickled, it writes a file where it is run."""

    def __reduce__(self):
        return open, (RAN, "w")


def _damaged_file(rng, files):
    """Return a name, at times with the ending of another kind, and a damaged file."""
    names = sorted(files)
    name = names[rng.integers(len(names))]
    data = damaged(files[name], list(files.values()), rng)
    if data[:4] == b"\x89PNG" and rng.random() < 0.6:
        data = with_checksums(data)
    other = names[rng.integers(len(names))] if rng.random() < 0.1 else name
    return f"a-{Path(name).stem}{Path(other).suffix}", data


def _npz(seeds):
    return [data for name, data in seeds.weights.items() if name.endswith(".npz")]


def _mask_problem(image, mask):
    if not mask.is_file():
        return "no mask was written"
    with Image.open(mask) as opened:
        return _size_problem(image, opened.size[::-1])


def _size_problem(image, size):
    """Compare with the size that Pillow itself finds, when the camera's note of a rotation is followed."""
    try:
        with Image.open(io.BytesIO(image.read_bytes())) as opened:
            expected = ImageOps.exif_transpose(opened).size[::-1]
    except Exception as error:
        return f"a mask of {size} was made, but Pillow finds no image: {error}"
    return "" if tuple(size) == expected else f"a mask of {size}, but the image has {expected}"


def _odd_word(rng):
    words = (*ABSURD, *TEXTS, "--", "-h", "--help=", "--overwrite", "--out", "set", "c.npz", "--threads", "-", "--=")
    return words[rng.integers(len(words))]


def _odd_name(path, rng):
    choices = (path.name.upper(), f"._{path.name}", f"{path.stem} 1{path.suffix}", f"{path.stem}é{path.suffix}")
    choices += (path.stem, f"{path.stem}.{path.suffix}", f"x{_letters(rng)}{path.suffix}", f"{path.name}.part")
    return choices[rng.integers(len(choices))]


def _letters(rng):
    return TEXTS[rng.integers(len(TEXTS))].replace("/", "").replace("\x00", "").replace("\ud7ff", "") or "z"


def _add_odd_file(root, rng):
    folders = [root, *(path for path in sorted(root.iterdir()) if path.is_dir())]
    folder = folders[rng.integers(len(folders))]
    name = ("Thumbs.db", ".DS_Store", "._s1.png", "s1.PNG", "s1.jpg", "desktop.ini", "s9.png", "TRAIN.TXT", "a b.tif")
    target = folder / name[rng.integers(len(name))]
    deed = rng.integers(4)
    if target.exists():
        return
    if deed == 0:
        target.mkdir()
    elif deed == 1:
        target.symlink_to("nowhere")
    else:
        target.write_bytes(rng.bytes(int(rng.integers(60))))


def _boxes(rng, box):
    """Write a damaged file of proposals and return its name."""
    name, text = (("b.csv", BOXES), ("b.json", BOXES_JSON))[rng.integers(2)]
    (box / name).write_bytes(encoded(damaged_text(text, rng), rng))
    return name


def _value(flag, rng):
    if rng.random() < 0.5:
        return ("1", "2", "0.5", "16", "32x32", "set", "b.csv", "grid", "mean", "true", "running")[rng.integers(11)]
    return _odd_word(rng)


_FLAGS = []


def _commands():
    """Return beginnings of command lines with the flags of the command."""
    if not _FLAGS:
        image = "set/images/s1.png"
        starts = {
            ("segment", "c.npz", image, "--out", "out"): SegmentArguments,
            ("evaluate", "c.npz", "--data", "set"): EvaluateArguments,
            ("data", "check", "set"): FolderArguments,
            ("data", "weights", "set"): WeightsArguments,
            ("models", "bloodcell"): ModelsArguments,
            ("models", "c.npz"): ModelsArguments,
            ("explain", "c.npz", image, "--out", "out.html"): ExplainArguments,
            ("export", "c.npz", "--out", "out.onnx"): ExportArguments,
            ("train", "--data", "nowhere", "--out", "out"): TrainArguments,
            ("completion", "bash"): ModelsArguments,
        }
        slow = {"--measure", "--data"}  # a training step of any size; a set to train on
        for start, kind in starts.items():
            flags = [flag for flag in flags_of(kind) if flag.name not in slow]
            _FLAGS.append((start, flags))
    return _FLAGS


def seed_of(seed, kind, number):
    """Return the random numbers of one input."""
    return np.random.default_rng([seed, list(KINDS).index(kind), number])
