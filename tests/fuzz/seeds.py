"""Good files of every kind, from which the damaged ones are made."""

import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from scratchnet.cli.main import main
from scratchnet.config import TrainSettings, write_settings
from scratchnet.config.files import recipe_names, resources
from tests.interop import handmade
from tests.tiny import sample, write_set

TRAINING = ("--model", "bloodcell", "--width", "0.1", "--epochs", "1", "--batch-size", "2")


@dataclass
class Seeds:
    """Good files.

    Attributes
    ----------
    root : Path
        Holds a data set, ``set/``, and a run, ``run/``.
    images, masks, weights : dict of str to bytes
        By file name.
    texts : dict of str to str
        Configurations.
    """

    root: Path
    images: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    texts: dict = field(default_factory=dict)

    @property
    def checkpoint(self):
        """A trained network's file."""
        return self.root / "run" / "checkpoint.npz"


def make_seeds(root):
    """Write a set and a run to an empty folder, and collect files of all other kinds."""
    write_set(root / "set", 6, 32, 32)
    if main(["train", "--data", str(root / "set"), "--out", str(root / "run"), *TRAINING]):
        raise RuntimeError("fuzz: the network could not be trained")
    return Seeds(root, _images(), _masks(), _weights(root), _configs())


def _saved(image, form, **how):
    made = io.BytesIO()
    image.save(made, form, **how)
    return made.getvalue()


def _images():
    """Return images of 24×20 pixels in every format that can be written here, and in many forms."""
    colour = Image.fromarray(sample(0, 20, 24)[0])
    flipped = Image.Exif()
    flipped[274] = 6
    grey16 = Image.fromarray((np.arange(480, dtype=np.uint16) * 100).reshape(20, 24))
    forms = {
        "rgb.png": (colour, {}),
        "grey.png": (colour.convert("L"), {}),
        "palette.png": (colour.quantize(16), {}),
        "clear.png": (colour.convert("RGBA"), {}),
        "bits.png": (colour.convert("1"), {}),
        "deep.png": (grey16, {}),
        "moving.png": (colour, {"save_all": True, "append_images": [colour.rotate(90)]}),
        "photo.jpg": (colour, {"exif": flipped}),
        "progressive.jpg": (colour, {"progressive": True}),
        "plain.tif": (colour, {"exif": flipped}),
        "lzw.tif": (colour, {"compression": "tiff_lzw"}),
        "jpeg.tif": (colour, {"compression": "jpeg"}),
        "deflate.tif": (grey16, {"compression": "tiff_adobe_deflate"}),
        "fax.tif": (colour.convert("1"), {"compression": "group4"}),
        "float.tif": (grey16.convert("F"), {}),
        "pages.tif": (colour, {"save_all": True, "append_images": [colour]}),
        "moving.gif": (colour.quantize(8), {"save_all": True, "append_images": [colour.rotate(90).quantize(8)]}),
        "lossless.webp": (colour, {"lossless": True}),
    }
    formats = {"bmp": "BMP", "gif": "GIF", "webp": "WEBP", "avif": "AVIF", "jp2": "JPEG2000", "ppm": "PPM"}
    formats |= {"pcx": "PCX", "sgi": "SGI", "qoi": "QOI", "ico": "ICO", "dds": "DDS", "tga": "TGA"}
    found = {name: _saved(image, _FORMS[name.rpartition(".")[2]], **how) for name, (image, how) in forms.items()}
    for ending, form in formats.items():
        if form in Image.SAVE:
            found[f"a.{ending}"] = _saved(colour, form)
    return found


_FORMS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "gif": "GIF", "webp": "WEBP"}


def _masks():
    """Return masks of 32×32 pixels, one for each way of storing them."""
    mask = Image.fromarray(sample(0, 32, 32)[1])
    palette = mask.copy()
    palette.putpalette([0, 0, 0, 200, 30, 30])
    white = mask.point(lambda value: 255 * value)
    forms = {
        "index.png": (mask, {}),
        "palette.png": (palette, {}),
        "binary.png": (white, {}),
        "bits.png": (white.convert("1"), {}),
        "rgb.png": (Image.merge("RGB", [mask] * 3), {}),
        "deep.png": (Image.fromarray(np.array(mask).astype(np.uint16)), {}),
        "deep.tif": (Image.fromarray(np.array(mask).astype(np.int32)), {}),
        "index.tif": (mask, {"compression": "tiff_lzw"}),
        "bits.tif": (white.convert("1"), {"compression": "group4"}),
        "grey.jpg": (white, {}),
        "index.gif": (palette, {}),
        "lossless.webp": (white.convert("RGB"), {"lossless": True}),
    }
    return {name: _saved(image, _FORMS[name.rpartition(".")[2]], **how) for name, (image, how) in forms.items()}


def _weights(root):
    """Return files of weights in every format."""
    rng = np.random.default_rng(0)
    arrays = {
        "features.0.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "features.0.bias": rng.standard_normal(4),
        "half": rng.standard_normal((3, 2)).astype(np.float16),
        "none": np.zeros((0, 3), np.float32),
    }
    made = {
        "zip.pth": handmade.write_zip(root / "zip.pth", arrays),
        "parameters.pth": handmade.write_zip(root / "parameters.pth", arrays, parameter=True),
        "legacy.pth": handmade.write_legacy(root / "legacy.pth", arrays),
        "old.pth": handmade.write_legacy(root / "old.pth", arrays, first_version=True, parameter=True),
        "a.safetensors": handmade.write_safetensors(root / "a.safetensors", arrays),
        "a.npz": handmade.write_npz(root / "a.npz", arrays),
    }
    return {name: path.read_bytes() for name, path in made.items()}


def _configs():
    folder = resources.files("scratchnet") / "recipes"
    recipes = {name: (folder / f"{name}.toml").read_text(encoding="utf-8") for name in recipe_names()}
    return recipes | {"defaults": write_settings(TrainSettings())}


def copy_set(seeds, target):
    """Copy the data set, with files of objects, of boxes and of classes' colours beside the lists."""
    shutil.copytree(seeds.root / "set", target)
    (target / "objects").mkdir()
    for mask in (target / "masks").iterdir():
        shutil.copy(mask, target / "objects" / mask.name)
    boxes = "".join(f"s{i},square,{i},2,{i + 9},12,9.5\n" for i in range(6))
    (target / "boxes.csv").write_text(f"image,class,x0,y0,x1,y1,size\n{boxes}")


BOXES = "image,x0,y0,x1,y1,score\n" + "".join(f"s{i}.png,{i},2,{i + 16},20,0.{i}\n" for i in range(6))
BOXES_JSON = json.dumps([{"image": f"s{i}", "x0": 0, "y0": i, "x1": 20, "y1": 24} for i in range(6)])
