"""Every recipe trains on the kind of data that it names: one update of a narrow network on a few small images."""

import numpy as np
import pytest
from PIL import Image

from scratchnet.config import read_settings, recipe_names
from scratchnet.data import write_generated, write_image, write_mask
from tests.tiny import sample

GENERATED = {"squares": "squares", "shapes": "shapes", "shapes-stage1": "shapes", "shapes-stage2": "shapes"}
GENERATED["demo"] = "cells"
SIDE = 64


def pairs():
    for index in range(4):
        image, mask = sample(index, SIDE, SIDE)
        yield ("train" if index < 2 else "val"), f"i{index}", image, mask


def voc(root):
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, name, image, mask in pairs():
        write_image(root / "JPEGImages" / f"{name}.png", image)
        write_mask(root / "SegmentationClass" / f"{name}.png", mask)
        with (root / "ImageSets" / "Segmentation" / f"{split}.txt").open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")


def camvid(root):
    for split, name, image, mask in pairs():
        write_image(root / split / f"{name}.png", image)
        write_mask(root / f"{split}annot" / f"{name}.png", mask)


def folder(root, mask_format):
    (root / "masks").mkdir(parents=True)
    for _, name, image, mask in pairs():
        write_image(root / "images" / f"{name}.png", image)
        ending = "jpg" if mask_format == "threshold" else "png"
        Image.fromarray((mask * 255).astype(np.uint8)).save(root / "masks" / f"{name}.{ending}")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_runs_on_the_data_that_it_names(call, tmp_path, name):
    settings = read_settings(name)
    root, model = tmp_path / "set", settings.model.model
    if name in GENERATED:
        write_generated(GENERATED[name], root, 5, 0, SIDE)
    elif settings.data.layout == "folder":
        folder(root, settings.data.masks["mask_format"])
    else:
        {"voc": voc, "camvid": camvid}[settings.data.layout](root)
    width = "4" if model in ("deconvnet-small", "squares") else "0.02"
    one_update = "--iterations 1 --epochs 1 --samples-per-epoch 4 --batch-size 2 --gradient-accumulation 1"
    words = f"{one_update} --width {width}".split()
    code, _, err = call("train", "--config", name, "--data", root, "--out", tmp_path / "run", *words)
    assert (code, err) == (0, "")
    assert (tmp_path / "run" / "report.html").exists()
