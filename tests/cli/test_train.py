import csv
import json
import math
import tomllib

import numpy as np
import pytest
from PIL import Image

from scratchnet.cli.training_checks import memory_note
from scratchnet.config import TrainingSettings, TrainSettings, read_settings
from scratchnet.data import write_generated, write_image, write_mask
from scratchnet.models import build
from scratchnet.training import load_checkpoint
from scratchnet.training.commands import start_from_command
from tests.tiny import files, sample, source, write_set


def weights_of(run):
    return load_checkpoint(run / "checkpoint.npz").network.flat().values


def test_everything_that_a_run_leaves(train, images, tmp_path, figures):
    code, said, err = train(images, tmp_path / "run", "--epochs", "2", "--batch-norm")
    assert (code, err) == (0, "")
    out = tmp_path / "run"
    assert {path.name for path in out.iterdir()} == {
        *("checkpoint.npz", "last.npz", "log.csv", "config.toml", "metrics.json", "report.html")
    }
    for words in (
        *("bloodcell: ", "4 training and 2 validation images", "classes ground, square", "epoch   1/2", "epoch   2/2"),
        *("best epoch", "pixel accuracy", "this network", "all background", "threshold", "report.html"),
    ):
        assert words in said
    found = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert found["images"] == 2
    assert found["pixels"][0] + found["pixels"][1] == 2 * 32 * 32
    for name in ("accuracy", "mean_accuracy", "iou", "mean_iou", "fw_iou", "dice", "loss"):
        assert name in found
    assert len(found["baselines"]) == 2
    with (out / "log.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    stored = load_checkpoint(out / "checkpoint.npz")
    assert stored.spec.classes == ("ground", "square")
    assert stored.spec.preprocessing.normalization == "dataset"
    assert 0.1 < stored.spec.preprocessing.mean[0] < 0.6
    assert len(stored.spec.data["held_out"]) == 2
    assert stored.progress["final"]["val_mean_iou"] == found["mean_iou"]
    settings = read_settings(str(out / "config.toml"))
    assert (settings.training.epochs, settings.model.width, settings.model.batch_norm) == (2, 0.1, True)
    report = (out / "report.html").read_text()
    assert "bloodcell on set" in report
    assert "http://" not in report.replace("http://www.w3.org", "")


def test_a_folder_without_lists_is_divided_and_evaluated_alike(train, call, tmp_path):
    data = write_set(tmp_path / "set", 10, split=False)
    code, said, _ = train(data, tmp_path / "run", "--val-fraction", "0.3", "--seed", "3")
    assert code == 0
    assert "7 training and 3 validation images" in said
    whole = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert call("evaluate", tmp_path / "run" / "checkpoint.npz", "--data", data, "--out", tmp_path)[0] == 0
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert again["iou"] == whole["iou"]  # the same three images
    assert again["baselines"] == whole["baselines"]


def test_camvid_layout_with_rgb_index_and_an_ignored_class(train, tmp_path, figures):
    names = ("ground", "square", "void")
    for split, count in (("train", 3), ("val", 1)):
        for index in range(count):
            image, mask = sample(index, 24, 32)
            mask[:2] = 2
            write_image(tmp_path / "set" / split / f"a{index}.png", image)
            write_image(tmp_path / "set" / f"{split}annot" / f"a{index}.png", np.stack([mask] * 3, axis=-1))
    (tmp_path / "set" / "classes.txt").write_text("\n".join(names))
    code, said, err = train(
        *(tmp_path / "set", tmp_path / "run", "--layout", "camvid", "--mask-format", "rgb-index"),
        *("--ignore-index", "2", "--class-weights", "median-frequency", "--normalization", "image"),
    )
    assert (code, err) == (0, "")
    assert "3 training and 1 validation images; classes ground, square, void" in said
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["pixels"][2] == 0
    assert sum(found["pixels"]) == 22 * 32
    assert found["baselines"] == {}


def test_grey_masks_with_a_threshold(train, tmp_path):
    data = tmp_path / "set"
    for index in range(4):
        image, mask = sample(index, 32, 32)
        write_image(data / "images" / f"a{index}.jpg", image)
        grey = np.where(mask == 1, 230, 20).astype(np.uint8)
        (data / "masks").mkdir(exist_ok=True)
        Image.fromarray(grey).save(data / "masks" / f"a{index}.jpg", quality=70)
    code, said, _ = train(data, tmp_path / "run", "--mask-threshold", "127")
    assert code == 0
    assert "classes background, foreground" in said
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert 0.2 < found["pixels"][1] / sum(found["pixels"]) < 0.3


@pytest.mark.parametrize(
    "words",
    [
        ["--resize", "16", "32"],
        ["--scale", "1", "1.2", "--resize", "40", "48", "--crop", "32", "16"],
        ["--tile-overlap", "2", "--tile", "16", "--resize", "40", "48"],
        ["--tile", "16", "--tile-overlap", "4"],
        ["--crop", "16", "16", "--rotate90", "--mosaic", "0.5", "--scale", "0.5", "1.5"],
        ["--class-weights", "0.3", "2", "--loss-normalization", "weights"],
        ["--loss", "cross-entropy+dice", "--class-weights", "median-frequency"],
        ["--border-weight", "10", "--border-sigma", "3", "--class-weights", "0.5", "2"],
        ["--elastic", "4"],
        ["--ema", "0.9", "--optimizer", "adamw", "--weight-decay", "0.1"],
        ["--warmup-updates", "2", "--schedule", "cosine"],
        ["--label-smoothing", "0.1", "--optimizer", "sgd", "--nesterov"],
        ["--focal-gamma", "1", "--loss", "focal"],
        ["--tversky-alpha", "0.4", "--tversky-beta", "0.6", "--loss", "tversky"],
        ["--freeze", "conv1", "deconv*.bias"],
        [
            "--optimizer",
            "sgd",
            "--momentum",
            "0.5",
            "--weight-decay",
            "1e-4",
            "--bias-lr-multiplier",
            "2",
            "--schedule",
            "step",
        ],
        ["--gradient-accumulation", "2", "--iterations", "1", "--patience", "3", "--seed", "7"],
        ["--normalization", "none", "--unpool", "switches", "--batch-norm", "--no-recalibrate"],
    ],
    ids=lambda words: words[0],
)
def test_settings_reach_the_training(train, plain, tmp_path, words):
    code, _, err = train(plain / "set", tmp_path / "run", *words)
    assert (code, err) == (0, "")
    one, other = weights_of(tmp_path / "run"), weights_of(plain / "run")
    assert one.size != other.size or (one != other).any()


@pytest.mark.parametrize("model", [["deconvnet-small", "--size", "32", "--width", "2"], ["squares", "--width", "2"]])
def test_the_other_models(train, tmp_path, images, model):
    code, _, err = train(images, tmp_path / "run", "--model", *model)
    assert (code, err) == (0, "")
    assert load_checkpoint(tmp_path / "run" / "checkpoint.npz").spec.model == model[0]


def test_images_that_resizing_makes_large_enough(train, call, tmp_path):
    data = write_set(tmp_path / "set", 6, 9, 11)
    code, _, err = train(data, tmp_path / "run", "--resize", "32", "32")
    assert (code, err) == (0, "")
    image = data / "images" / "s0.png"
    assert call("segment", tmp_path / "run" / "checkpoint.npz", image, "--out", tmp_path / "out")[0] == 0
    with Image.open(tmp_path / "out" / "s0.png") as mask:
        assert mask.size == (11, 9)


def test_images_of_many_sizes_with_batches_of_one(train, tmp_path):
    data = write_set(tmp_path / "set", 6, 32, 32)
    for index, size in ((0, (17, 40)), (5, (50, 20))):
        image, mask = sample(index, *size)
        write_image(data / "images" / f"s{index}.png", image)
        write_mask(data / "masks" / f"s{index}.png", mask)
    code, _, err = train(data, tmp_path / "run", "--batch-size", "1")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(("free", "told"), [(None, False), (1_700_000, True), (1_900_000, False)])
def test_too_little_memory_is_told_before_it_runs_out(monkeypatch, free, told):
    """Four numbers a parameter alone, two of them Adam's, are 1.21 MB here, the values of four images 0.6 MB."""
    monkeypatch.setattr("scratchnet.cli.training_checks.available_memory", lambda: free)
    settings = TrainSettings(training=TrainingSettings(batch_size=4))
    note = memory_note(settings, build("bloodcell", 2, width=0.32), source(5, 30, 32))
    assert bool(note) == told
    assert not told or note.startswith("a training step needs about 0.0 GB of memory, and 0.0 GB are free; ")


def test_many_classes_with_an_ignored_validation_image(train, call, tmp_path, images, figures):
    (images / "classes.txt").write_text("a\nb\nc\n")
    write_mask(images / "masks" / "s5.png", np.full((32, 32), 255, np.uint8))
    assert train(images, tmp_path / "run")[0] == 0
    code, said, _ = call("evaluate", tmp_path / "run" / "checkpoint.npz", "--data", images)
    assert code == 0
    assert "lowest image: s4" in said
    found = json.loads((tmp_path / "run" / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert not math.isnan(found["lowest_image"])


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Ten pictures of several objects with boxes."""
    root = tmp_path_factory.mktemp("shapes") / "set"
    write_generated("shapes", root, 10, seed=1, size=64)
    return root


TWO_STAGES = ["--model", "deconvnet-small", "--size", "32", "--width", "2", "--box-size", "36", "--crop", "32", "32"]
TWO_STAGES += ["--min-object-size", "3"]


def test_two_stages(train, call, tmp_path, shapes):
    code, said, err = train(shapes, tmp_path / "one", *TWO_STAGES, "--stage", "1", "--flip-horizontal")
    assert (code, err) == (0, "")
    objects = len((shapes / "boxes.csv").read_text().splitlines()) - 1
    counts = [int(word) for word in said.split("parameters; ")[1].splitlines()[0].split() if word.isdigit()]
    assert sum(counts) == objects
    assert "training and " in said
    assert "validation boxes; classes background, disc" in said
    first = tmp_path / "one" / "checkpoint.npz"
    words = [*TWO_STAGES, "--stage", "2", "--boxes-per-object", "1", "--min-iou", "0.6", "--iterations", "3"]
    code, said, err = train(shapes, tmp_path / "two", *words, "--gradient-accumulation", "2", "--start-from", first)
    assert (code, err) == (0, "")
    assert f"parameters start from {first}" in said
    assert train(shapes, tmp_path / "fresh", *words, "--gradient-accumulation", "2")[0] == 0
    assert (weights_of(tmp_path / "two") != weights_of(tmp_path / "fresh")).any()
    code, said, _ = call("evaluate", tmp_path / "two" / "checkpoint.npz", "--data", shapes)
    assert code == 0
    assert "on 2 images" in said  # whole ones


def test_a_stage_can_be_resumed(train, call, tmp_path, shapes):
    words = [*TWO_STAGES, "--stage", "1", "--elastic", "2"]
    assert train(shapes, tmp_path / "parts", *words)[0] == 0
    assert call("train", "--resume", "--out", tmp_path / "parts", "--epochs", "2")[0] == 0
    assert train(shapes, tmp_path / "whole", *words, "--epochs", "2")[0] == 0
    np.testing.assert_array_equal(weights_of(tmp_path / "parts"), weights_of(tmp_path / "whole"))


def test_a_stage_of_a_set_of_two_classes_has_baselines(train, tmp_path, images):
    code, _, err = train(images, tmp_path / "run", "--stage", "1", "--box-size", "32")
    assert (code, err) == (0, "")
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["images"] == 2
    assert len(found["baselines"]) == 2


# Configuration --------------------------------------------------------------------------------------------------------


def test_flags_override_the_config(call, tmp_path, images):
    config = tmp_path / "my.toml"
    config.write_text(
        f'[data]\ndata = "{images}"\n[model]\nwidth = 0.1\n[training]\nepochs = 7\nbatch_size = 2\nlearning_rate = 1\n'
    )
    code, said, _ = call("train", "--config", config, "--out", tmp_path / "run", "--epochs", "1", "--no-recalibrate")
    assert code == 0
    assert "epoch   1/1" in said
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text())["training"]
    assert (stored["epochs"], stored["batch_size"], stored["learning_rate"]) == (1, 2, 1)
    assert stored["recalibrate"] is False


def test_config_with_an_equals_sign(call, tmp_path, images):
    (tmp_path / "my.toml").write_text("[model]\nwidth = 0.1\n[training]\nepochs = 1\n")
    words = (f"--config={tmp_path / 'my.toml'}", f"--data={images}", f"--out={tmp_path / 'run'}")
    assert call("train", *words)[0] == 0
    assert read_settings(str(tmp_path / "run" / "config.toml")).model.width == 0.1


def test_settings_change_nothing_by_themselves(train, plain, tmp_path):
    """Two runs are alike, or the test above would say nothing."""
    assert train(plain / "set", tmp_path / "run")[0] == 0
    np.testing.assert_array_equal(weights_of(tmp_path / "run"), weights_of(plain / "run"))


def test_resume_takes_the_run_s_settings(train, call, tmp_path, images):
    run = tmp_path / "run"
    assert train(images, run, "--seed", "5", "--flip-horizontal")[0] == 0
    code, said, _ = call("train", "--resume", "--out", run, "--epochs", "2")
    assert code == 0
    assert "resuming after epoch 1" in said
    assert "epoch   2/2" in said
    assert "epoch   1/2" not in said
    settings = read_settings(str(run / "config.toml"))
    assert (settings.training.seed, settings.augmentation.flip_horizontal, settings.training.epochs) == (5, True, 2)
    assert train(images, tmp_path / "whole", "--seed", "5", "--flip-horizontal", "--epochs", "2")[0] == 0
    np.testing.assert_array_equal(weights_of(run), weights_of(tmp_path / "whole"))


def test_resume_from_a_folder_that_was_moved(call, begun, tmp_path):
    """Also with an equals sign."""
    begun.rename(tmp_path / "moved")
    code, said, _ = call("train", "--resume", f"--out={tmp_path / 'moved'}", "--epochs", "2")
    assert code == 0
    assert "resuming after epoch 1" in said
    assert not (tmp_path / "run").exists()
    assert read_settings(str(tmp_path / "moved" / "config.toml")).model.width == 0.1


def test_a_run_that_is_there_is_left_alone(train, begun, tmp_path, images):
    before = files(tmp_path)
    code, said, err = train(images, begun)
    assert (code, said) == (2, "")
    assert err == (
        f"scratchnet: error: {tmp_path / 'run'}: holds a run already; add --resume to go on with it or --overwrite to "
        f"replace it, or choose another --out; for more images: `{start_from_command(begun)}`\n"
    )
    assert files(tmp_path) == before
