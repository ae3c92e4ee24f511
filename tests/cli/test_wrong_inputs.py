"""What a user gets wrong: exit code 2, one line that names the file or the flag, and nothing on the disk changes."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scratchnet.config import read_settings
from scratchnet.data import write_image, write_mask
from tests.tiny import files, sample, write_set


def assert_one_line(answer, *words):
    """Assert what main() returned: a refusal in one line that holds all words, and nothing printed before."""
    code, said, err = answer
    assert code == 2
    assert err.startswith("scratchnet: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in words:
        assert str(word) in err
    assert "epoch" not in said


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def listed(root, name, lines):
    (root / "splits" / f"{name}.txt").write_text(lines)


def grey16(path):
    Image.fromarray(np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 60).save(path)


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def jpeg(root, name, share):
    """Replace an image by a JPEG of which only a share is left."""
    (root / "images" / f"{name}.png").unlink()
    Image.fromarray(sample(0, 32, 32)[0]).save(root / "images" / f"{name}.jpg")
    cut(root / "images" / f"{name}.jpg", share)


def mask_values(root, name, values):
    Image.fromarray(np.resize(np.array(values, np.uint8), (32, 32))).save(root / "masks" / f"{name}.png")


def ignored_mask(root, name):
    write_mask(root / "masks" / f"{name}.png", np.full((32, 32), 255, np.uint8))


def small(root, name, height, width):
    image, mask = sample(0, height, width)
    write_image(root / "images" / f"{name}.png", image)
    write_mask(root / "masks" / f"{name}.png", mask)


DAMAGE = {
    "missing folder": (remove, "set: no such folder"),
    "no masks folder": (lambda root: remove(root / "masks"), "masks: no such folder"),
    "no images folder": (lambda root: remove(root / "images"), "images: no such folder"),
    "empty images folder": (
        lambda root: [remove(path) for path in (root / "images").iterdir()],
        "images: no image files",
    ),
    "image without mask": (
        lambda root: remove(root / "masks" / "s1.png"),
        "train.txt, line 2: there is no mask named 's1'",
    ),
    "image without mask, no lists": (
        lambda root: [remove(root / "masks" / "s1.png"), remove(root / "splits")],
        "s1.png: has no mask; put s1.png into",
    ),
    "mask with a word behind": (
        lambda root: [remove(root / "splits"), (root / "masks" / "s1.png").rename(root / "masks" / "s1_mask.png")],
        "masks/s1_mask.png to s1.png, or move the image away",
    ),
    "mask with a word before": (
        lambda root: [remove(root / "splits"), (root / "masks" / "s1.png").rename(root / "masks" / "gt-s1.png")],
        "masks/gt-s1.png to s1.png, or move the image away",
    ),
    "mask without image": (
        lambda root: [remove(root / "images" / "s1.png"), remove(root / "splits")],
        "s1.png: a mask without an image",
    ),
    "mask of another size": (
        lambda root: write_mask(root / "masks" / "s1.png", np.zeros((30, 32), np.uint8)),
        "s1.png is 32×32 but its mask",
    ),
    "mask of another size for validation": (
        lambda root: write_mask(root / "masks" / "s5.png", np.zeros((30, 32), np.uint8)),
        "s5.png is 32×32 but its mask",
    ),
    "mask value 3": (
        lambda root: mask_values(root, "s1", [0, 1, 3]),
        "0 to 1, 255 is ignored; correct the mask, name every class in classes.txt, or pass --ignore-index 3 if it",
    ),
    "mask value 3 for validation": (lambda root: mask_values(root, "s5", [0, 1, 3]), "s5.png: mask value 3"),
    "mask of 0 and 255": (
        lambda root: mask_values(root, "s1", [0, 255]),
        "s1.png: mask values are only 0 and 255; use --mask-format",
    ),
    "RGB mask": (lambda root: write_image(root / "masks" / "s1.png", sample(1, 32, 32)[0]), "s1.png: an RGB image"),
    "masks of one class": (
        lambda root: [mask_values(root, f"s{i}", [0]) for i in range(6)],
        "training images: every pixel of the masks is 'ground' (class 0), so there is nothing to learn; check --mask-f",
    ),
    "masks of ignored pixels": (
        lambda root: [ignored_mask(root, f"s{i}") for i in range(4)],
        "training images: every pixel of the masks is ignored (255), so there is nothing to learn",
    ),
    "masks of ignored pixels for validation": (
        lambda root: [ignored_mask(root, f"s{i}") for i in (4, 5)],
        "validation images: every pixel of the masks is ignored (255)",
    ),
    "16-bit image": (lambda root: grey16(root / "images" / "s1.png"), "s1.png: a 16-bit grey image"),
    "16-bit mask": (lambda root: grey16(root / "masks" / "s1.png"), "s1.png: mask value 60, 120, 180, … (1023 values)"),
    "cut PNG": (lambda root: cut(root / "images" / "s1.png", 0.5), "s1.png: damaged or no image"),
    "cut mask": (lambda root: cut(root / "masks" / "s5.png", 0.5), "s5.png: damaged or no image"),
    "cut JPEG": (lambda root: jpeg(root, "s1", 0.6), "s1.jpg: damaged or no image"),
    "empty JPEG": (lambda root: jpeg(root, "s1", 0), "s1.jpg: is empty (0 bytes)"),
    "text as image": (
        lambda root: (root / "images" / "s1.png").write_text("hello"),
        "s1.png: text, not a kind of image that can be read here",
    ),
    "two images of one name": (
        lambda root: write_image(root / "images" / "s1.bmp", sample(1)[0]),
        "has the same name as",
    ),
    "small training image": (
        lambda root: small(root, "s1", 15, 40),
        "s1 is 15×40 pixels (height × width), but model 'bloodcell' halves",
    ),
    "small validation image": (lambda root: small(root, "s5", 15, 40), "s5: the image is 15×40 pixels"),
    "another size in a batch": (
        lambda root: small(root, "s1", 32, 48),
        "s1 is 32×48 pixels but s0 is 32×32 (height × width), and a batch needs",
    ),
    "empty val list": (lambda root: listed(root, "val", "\n \n"), "val.txt: lists no images"),
    "unknown name in a list": (
        lambda root: listed(root, "val", "s4\ns77\n"),
        "val.txt, line 2: there is no image named 's77'",
    ),
    "name listed twice": (lambda root: listed(root, "train", "s1\ns1\n"), "line 2: 's1' is listed twice"),
    "no val list": (lambda root: remove(root / "splits" / "val.txt"), "val.txt: no such file; choose one of train"),
    "no class names": (
        lambda root: remove(root / "classes.txt"),
        "classes.txt: no such file; write one class name per line",
    ),
    "one class": (
        lambda root: (root / "classes.txt").write_text("cell\n"),
        "classes.txt: 1 classes, expected 2 to 256",
    ),
    "class names in Latin-1": (
        lambda root: (root / "classes.txt").write_bytes(b"Gr\xfcn\nRot\n"),
        "classes.txt: is not UTF-8",
    ),
    "one image in all": (
        lambda root: [remove(root / "splits"), *(remove(p) for p in root.glob("*s/s[1-9].png"))],
        "1 image is too few",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_set_that_cannot_be_used(train, images, tmp_path, damage):
    break_it, words = DAMAGE[damage]
    break_it(images)
    before = files(tmp_path)
    assert_one_line(train(images, tmp_path / "run"), words)
    assert files(tmp_path) == before


@pytest.mark.parametrize("damage", ["mask value 3 for validation", "cut mask", "mask of another size for validation"])
@pytest.mark.parametrize("normalization", ["none", "image"])
def test_files_are_looked_through_before_training_in_any_case(train, images, tmp_path, damage, normalization):
    break_it, words = DAMAGE[damage]
    break_it(images)
    assert_one_line(train(images, tmp_path / "run", "--normalization", normalization), words)
    assert not (tmp_path / "run").exists()


SETTINGS = {
    "--epochs 0": "--epochs 0: expected 1 to 1,000,000,000",
    "--epochs -1": "--epochs -1",
    "--iterations 0": "--iterations 0: expected 1 to 1,000,000,000",
    "--batch-size 0": "--batch-size 0: expected 1 to 1,000,000,000",
    "--batch-size -8": "--batch-size -8",
    "--gradient-accumulation 0": "--gradient-accumulation 0: expected 1 to 1,000,000,000",
    "--learning-rate -0.1": "--learning-rate -0.1: expected a number above 0",
    "--learning-rate 0": "--learning-rate 0.0",
    "--learning-rate nan": "--learning-rate nan",
    "--learning-rate inf": "--learning-rate inf",
    "--momentum 1": "--momentum 1.0: expected a number from 0 to under 1",
    "--weight-decay -1": "--weight-decay -1.0: expected 0 to 1e6",
    "--bias-lr-multiplier -1": "--bias-lr-multiplier -1.0",
    "--lr-decay 0": "--lr-decay 0.0",
    "--lr-step-epochs 0": "--lr-step-epochs 0: expected 1 to 1,000,000,000",
    "--patience 0": "--patience 0: expected 1 to 1,000,000,000",
    "--seed -1": "--seed -1: expected 0 to 2⁶³",
    "--class-weights 1 2 3": "--class-weights: 3 were given for 2 classes (ground, square); give one per class",
    "--class-weights 1": "--class-weights: 1 were given",
    "--class-weights camvid": "--class-weights: 11 were given for 2 classes",
    "--class-weights 0 0": "--class-weights 0.0 0.0: expected numbers from 0 to 1e6, one at least 1e-6",
    "--class-weights 1 -1": "--class-weights 1.0 -1.0",
    "--class-weights 1 nan": "--class-weights 1.0 nan",
    "--border-weight -1": "--border-weight -1.0: expected 0 to 1e6",
    "--border-sigma 0": "--border-sigma 0.0: expected 0.01 to 1000 pixels",
    "--elastic -1": "--elastic -1.0: expected 0 to 1000 pixels",
    "--stage 1 --tile 16": "--stage 1: expected no --tile and no --resize with it",
    "--stage 2 --resize 16 16": "--stage 2: expected no --tile and no --resize with it",
    "--stage 1 --crop 16 32": "--crop 16 32: expected a square",
    "--stage 1 --min-object-size 99": "--stage 1: no image has an object",
    "--box-size 0": "--box-size 0: expected 1 to 100,000",
    "--box-context 0": "--box-context 0.0: expected 0.01 to 100",
    "--min-iou 0": "--min-iou 0.0: expected a number above 0 up to 1",
    "--boxes-per-object -1": "--boxes-per-object -1: expected 0 to 1,000,000,000",
    "--min-object-size 0": "--min-object-size 0: expected 1 to 1,000,000,000",
    "--start-from a.npz --init-weights b.pth": "--start-from a.npz: expected either this or --init-weights",
    "--start-from none.npz": "none.npz: no such checkpoint",
    "--lr-step-updates 0": "--lr-step-updates 0: expected 1 to 1,000,000,000",
    "--tile 0": "--tile 0: expected 1 to 100,000",
    "--tile 8": "@0,0 is 8×8 pixels, but model 'bloodcell' halves images down to 1/16",
    "--tile 16 --tile-overlap 16": "--tile-overlap 16: expected at least 0 and under --tile",
    "--tile 16 --tile-overlap -1": "--tile-overlap -1",
    "--tile-overlap 4": "--tile-overlap 4: expected at least 0 and under --tile",
    "--crop 8 8": "--crop is 8×8 pixels, but model 'bloodcell' halves",
    "--crop 0 16": "--crop 0 16: expected height and width of 1 to 100,000",
    "--crop 16 -16": "--crop 16 -16",
    "--resize 0 32": "--resize 0 32: expected HxW",
    "--resize 8 8": "s0 is 8×8 pixels, but model 'bloodcell'",
    "--mosaic 2": "--mosaic 2.0: expected a number from 0 to 1",
    "--noise -1": "--noise -1.0",
    "--brightness nan": "--brightness nan",
    "--scale 2 1": "--scale 2.0 1.0: expected numbers from 0.01 to 16, the smaller one first",
    "--scale 1 1000": "--scale 1.0 1000.0: expected numbers from 0.01 to 16",
    "--scale 0 1": "--scale 0.0 1.0",
    "--val-fraction 0": "--val-fraction 0.0: expected a number between 0 and 1",
    "--classes 1": "--classes 1: expected 2 to 256",
    "--classes 3": "classes.txt: has 2 class names but 3 classes",
    "--ignore-index 256": "--ignore-index 256: expected 0 to 255",
    "--ignore-index -1": "--ignore-index -1",
    "--mask-threshold 255": "--mask-threshold 255: expected 0 to 254",
    "--mask-threshold 127": "s4.png: a coloured mask",
    "--mask-format binary": "s4.png: a coloured mask",
    "--train-split training": "training.txt: no such file; choose one of train, val",
    "--layout camvid": "set: no pair of folders like train/ and trainannot/",
    "--model resnet": "model 'resnet' does not exist; did you mean segnet?; choose one of: bloodcell",
    "--model unet --padding same": "model 'unet' has no option 'padding'; its options are: width, depth, ",
    "--size 64": "model 'bloodcell' has no option 'size'; its options are: batch_norm, unpool, width",
    "--model squares --unpool switches --width 3": "model 'squares' has no option 'unpool'",
    "--model squares --width 2.5": "model 'squares': width is 2.5; expected a whole number from above 0 to 4096",
    "--width 0": "model 'bloodcell': width is 0",
    "--width nan": "model 'bloodcell': width is nan",
    "--model deconvnet-small --width 2": "s0 is 32×32 pixels, but model 'deconvnet-small' takes 64×64; set --size 32",
    "--model deconvnet-small --width 2 --size 50": "size is 50; expected a multiple of 16",
    "--model deconvnet-small --width 2 --size 32 --batch-size 1": "batch norm ('fc6_bn') sees a single pixel",
    "--model deconvnet-small --width 2 --size 32 --crop 48 48": "--crop is 48×48 pixels, but model 'deconvnet-small'",
    "--batch-norm --batch-size 1 --crop 16 16": "--crop: in a batch of one image, batch norm ('conv5_bn')",
    "--config nonsense": "config 'nonsense': no .toml file and no recipe; recipes: ",
    "--config": "--config: a value is missing",
    "--config none.toml": "none.toml: no such file; check the name",
}


@pytest.mark.parametrize("words", SETTINGS)
def test_settings_that_make_no_sense(train, images, tmp_path, words):
    before = files(tmp_path)
    assert_one_line(train(images, tmp_path / "run", *words.split()), SETTINGS[words])
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        "--epochs 3 --epoch",
        "--epochs three",
        "--epochs 1.5",
        "--optimizer rmsprop",
        "--crop 16 17 18",
        "--crop 16x17x18",
        "--batch-norm maybe",
        "stray",
        "--loss x",
    ],
)
def test_words_that_the_parser_refuses(train, images, tmp_path, words):
    before = files(tmp_path)
    assert_one_line(train(images, tmp_path / "run", *words.split()), words.split()[-1])
    assert files(tmp_path) == before


def test_no_data_and_no_out(call, tmp_path):
    assert_one_line(call("train", "--out", tmp_path / "run"), "no data set given; name its folder with --data")
    assert_one_line(call("train", "--data", tmp_path), "images: no such folder")
    assert_one_line(call("train", "--resume"), "no folder given for the run")
    assert files(tmp_path) == {}


def test_the_data_may_be_a_file(train, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"PK")
    assert_one_line(train(tmp_path / "set.zip", tmp_path / "run"), "set.zip: is an archive, not")


def test_out_under_a_file(train, images, tmp_path):
    (tmp_path / "file").write_text("mine")
    before = files(tmp_path)
    assert_one_line(train(images, tmp_path / "file" / "run"), "file/run: cannot be written", "another output folder")
    assert_one_line(train(images, tmp_path / "file"), "file: cannot be written")
    assert files(tmp_path) == before


def test_out_in_a_place_that_may_not_be_written(train, images, tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refused)
    assert_one_line(train(images, tmp_path / "run"), "run: cannot be written (Permission denied)")


def test_resume_what_is_no_run(call, train, images, tmp_path):
    assert_one_line(
        call("train", "--resume", "--out", tmp_path / "run"), "run: holds no run to resume; leave out --resume"
    )
    assert not (tmp_path / "run").exists()


def test_resume_without_the_settings(call, finished, tmp_path):
    """The checkpoint has them as well."""
    shutil.copytree(finished / "run", tmp_path / "run")
    before = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    (tmp_path / "run" / "config.toml").unlink()
    code, said, _ = call("train", "--resume", "--out", tmp_path / "run")
    assert code == 0
    assert "resuming after epoch 1" in said
    after = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    assert after.splitlines()[2:] == before.splitlines()[2:]  # all but where it is


def test_resume_without_settings_and_checkpoint(call, tmp_path):
    (tmp_path / "run").mkdir()
    answer = call("train", "--resume", "--out", tmp_path / "run")
    assert_one_line(answer, "run: holds no run to resume")


def cut_config(folder, lines):
    path = folder / "config.toml"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]), encoding="utf-8")


def test_resume_with_settings_that_were_cut(call, begun):
    """At a line's end they are good TOML, and defaults would take the place of what is missing."""
    length = len((begun / "config.toml").read_text(encoding="utf-8").splitlines())
    refused = 0
    for lines in range(2, length, 5):
        content = (begun / "config.toml").read_bytes()
        cut_config(begun, lines)
        cut = files(begun)
        before = read_settings(str(begun / "config.toml"))
        code, said, err = call("train", "--resume", "--out", begun)
        if code == 0:  # what is missing has its default
            assert replace(read_settings(str(begun / "config.toml")), out="") == replace(before, out="")
        else:
            assert "config.toml: was changed or cut; the run was made with other settings (" in err
            assert (code, said, files(begun)) == (2, "", cut)
            refused += 1
        (begun / "config.toml").write_bytes(content)
    assert refused >= 3  # after those lines everything has its default


def test_resume_with_settings_that_were_edited(call, begun):
    path = begun / "config.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("batch_size = 2", "batch_size = 1"), encoding="utf-8")
    answer = call("train", "--resume", "--out", begun)
    assert_one_line(answer, "config.toml: was changed or cut", "batch_size 2 → 1", "as flags with --resume")
    path.write_text(text + "# a comment\n", encoding="utf-8")  # says the same
    code, _, _ = call("train", "--resume", "--out", begun)
    assert code == 0


def test_resume_when_the_best_checkpoint_has_gone(call, begun):
    (begun / "checkpoint.npz").unlink()
    code, said, _ = call("train", "--resume", "--out", begun)
    assert code == 0
    assert "best epoch 1" in said
    assert (begun / "checkpoint.npz").exists()
    for more in ("2", "3"):
        assert call("train", "--resume", "--out", begun, "--epochs", more)[0] == 0


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "config", "unknown key"])
def test_resume_a_damaged_run(call, begun, tmp_path, damage):
    if damage == "cut":
        cut(begun / "last.npz", 0.7)
    elif damage == "empty":
        (begun / "last.npz").write_bytes(b"")
    elif damage == "text":
        (begun / "last.npz").write_text("not mine")
    elif damage == "config":
        (begun / "config.toml").write_text("[training\nepochs = 3")
    else:
        (begun / "config.toml").write_text("[training]\nepoch = 3")
    before = files(tmp_path)
    name = "config.toml" if "config" in damage or "key" in damage else "last.npz"
    assert_one_line(call("train", "--resume", "--out", begun, "--epochs", "2"), name)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--width 0.2", "was trained with options {'width': 0.1}, not {'width': 0.2}"),
        ("--model squares --width 2", "was trained with model 'bloodcell', not 'squares'"),
        ("--resize 16 16", "was trained with resize None, not (16, 16)"),
        ("--optimizer sgd", "another optimiser"),
    ],
)
def test_resume_with_another_network(call, begun, tmp_path, words, error):
    before = files(tmp_path)
    answer = call("train", "--resume", "--out", begun, "--epochs", "2", *words.split())
    assert_one_line(answer, begun / "last.npz", error)
    assert files(tmp_path) == before


def test_a_learning_rate_that_is_far_too_high(train, images, tmp_path):
    answer = train(images, tmp_path / "run", "--learning-rate", "1e30", "--epochs", "9", "--batch-norm")
    assert answer[0] == 2
    assert re.fullmatch(r"scratchnet: error: the loss became (nan|inf) in epoch \d.*--learning-rate.*\n", answer[2])


# A trained network ----------------------------------------------------------------------------------------------------

CHECKPOINTS = {
    "missing": (lambda path: path.unlink(), "no such checkpoint; a training writes one to RUN/checkpoint.npz"),
    "folder": (lambda path: [path.unlink(), path.mkdir()], "no such checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "the checkpoint is empty (0 bytes)"),
    "cut": (lambda path: cut(path, 0.5), "no readable checkpoint"),
    "text": (lambda path: path.write_text("hello"), "no readable checkpoint"),
    "npz of something else": (lambda path: np.savez(path, x=np.zeros(3)), "no readable checkpoint"),
}


@pytest.fixture
def checkpoint(finished, tmp_path):
    (tmp_path / "net").mkdir()
    return shutil.copy(finished / "run" / "checkpoint.npz", tmp_path / "net" / "checkpoint.npz")


@pytest.mark.parametrize("damage", CHECKPOINTS)
def test_a_checkpoint_that_cannot_be_used(call, finished, checkpoint, tmp_path, damage):
    break_it, words = CHECKPOINTS[damage]
    break_it(checkpoint)
    before = files(tmp_path)
    assert_one_line(call("evaluate", checkpoint, "--data", finished / "set"), f"{checkpoint}: ", words)
    image = finished / "set" / "images" / "s0.png"
    assert_one_line(call("segment", checkpoint, image, "--out", tmp_path / "out"), f"{checkpoint}: ", words)
    assert files(tmp_path) == before


IMAGES = {
    "missing": (lambda path: path.unlink(), "no such file; check the name"),
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "cut": (lambda path: cut(path, 0.4), "damaged or no image"),
    "text": (lambda path: path.write_text("hello"), "text, not a kind of image that can be read here"),
    "16-bit": (grey16, "a 16-bit grey image, expected 8-bit grey or RGB"),
    "too small": (lambda path: write_image(path, sample(0, 40, 15)[0]), "the image is 40×15 pixels"),
    "empty folder": (lambda path: [path.unlink(), path.mkdir()], "no images in this folder"),
}


@pytest.mark.parametrize("damage", IMAGES)
def test_an_image_that_cannot_be_segmented(call, checkpoint, tmp_path, damage):
    break_it, words = IMAGES[damage]
    image = tmp_path / "photos" / "p.png"
    write_image(image, sample(0, 32, 32)[0])
    write_image(tmp_path / "photos" / "good.png", sample(1, 32, 32)[0])
    break_it(image)
    before = files(tmp_path)
    good = tmp_path / "photos" / "good.png"
    assert_one_line(call("segment", checkpoint, good, image, "--out", tmp_path / "out"), f"{image}: ", words)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--tile 0", "--tile 0: this network needs tiles of at least 16 pixels"),
        ("--tile -1", "--tile -1"),
        ("--tile 32 --overlap 32", "--overlap 32: expected 0 to 31"),
        ("--tile 32 --overlap -1", "--overlap -1"),
        ("--overlap 8", "--overlap 8: needs --tile"),
    ],
)
def test_tiles_that_make_no_sense(call, finished, checkpoint, tmp_path, words, error):
    image = finished / "set" / "images" / "s0.png"
    assert_one_line(call("segment", checkpoint, image, "--out", tmp_path / "out", *words.split()), error)
    assert not (tmp_path / "out").exists()


def test_masks_cannot_go_into_a_file(call, finished, checkpoint, tmp_path):
    (tmp_path / "out").write_text("mine")
    image = finished / "set" / "images" / "s0.png"
    assert_one_line(call("segment", checkpoint, image, "--out", tmp_path / "out"), "out/s0.png: cannot be written")
    assert (tmp_path / "out").read_text() == "mine"


def test_metrics_cannot_go_under_a_file(call, finished, checkpoint, tmp_path):
    (tmp_path / "out").write_text("mine")
    answer = call("evaluate", checkpoint, "--data", finished / "set", "--out", tmp_path / "out")
    assert answer[0] == 2
    assert "out/metrics.json: cannot be written" in answer[2]


def test_evaluating_what_is_no_set(call, checkpoint, tmp_path):
    assert_one_line(call("evaluate", checkpoint, "--data", tmp_path / "none"), "none: no such folder")
    data = write_set(tmp_path / "small", 3, 15, 40)
    assert_one_line(call("evaluate", checkpoint, "--data", data), "s2: the image is 15×40 pixels")


def test_evaluating_where_nothing_counts(call, finished, tmp_path):
    data = write_set(tmp_path / "void", 3, 32, 32)
    for index in range(3):
        ignored_mask(data, f"s{index}")
    before = files(tmp_path)
    answer = call("evaluate", finished / "run" / "checkpoint.npz", "--data", data, "--out", tmp_path / "out")
    assert_one_line(answer, "void: all pixels of its masks are 255 (ignored)")
    assert files(tmp_path) == before


def test_forgotten_arguments(call):
    for words in (("segment",), ("evaluate",), ("segment", "a.npz"), ("segment", "a.npz", "b.png"), ("data", "make")):
        code, _, err = call(*words)
        assert code == 2
        assert "Traceback" not in err
