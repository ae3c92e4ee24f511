from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import Window, resize_image, write_image
from scratchnet.inference import DenseCrf, Ensemble, MultiScale, ProposalSegmenter, Refined, Segmenter, to_mask
from scratchnet.inference.boxes import grid_boxes
from scratchnet.inference.maps import resize_maps
from scratchnet.training import Checkpoint, load_checkpoint, save_checkpoint
from tests.tiny import network, recipe, sample

DECONVNET = {"size": 32, "width": 2}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Paths of networks: of any size, of 32×32 only, resizing everything, and with other classes."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made = {
        "any": (recipe(), network()),
        "other": (recipe(), network(seed=1)),
        "fixed": (recipe("deconvnet-small", DECONVNET), network("deconvnet-small", DECONVNET)),
        "resizing": (recipe(resize=(32, 32)), network()),
        "classes": (recipe(classes=("cat", "dog")), network()),
    }
    for name, (about, net) in made.items():
        halve(net, about)
        save_checkpoint(folder / f"{name}.npz", Checkpoint(about, net))
    return folder


def halve(net, about):
    """Make an untrained network find either class in half of the pixels, and decidedly."""
    net.parameters()["score.weight"].value[...] *= 30
    scores = Segmenter(net, about.preprocessing).scores(sample(5, 48, 70)[0][None])
    net.parameters()["score.bias"].value[-1] -= np.median(scores[..., 1] - scores[..., 0])


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", sample(5, 48, 70)[0])
    return tmp_path / "photo.png"


@pytest.fixture
def segment(call, checkpoints, photo, tmp_path):
    """Segment the photograph; return the mask, or the error line."""

    def run(name, *words):
        code, _, err = call("segment", checkpoints / f"{name}.npz", photo, "--out", tmp_path / "out", *words)
        if code:
            assert code == 2
            assert err.count("\n") == 1
            return err
        with Image.open(tmp_path / "out" / "photo.png") as mask:
            return np.array(mask)

    return run


def segmenter(checkpoints, name, **settings):
    stored = load_checkpoint(checkpoints / f"{name}.npz")
    return Segmenter(stored.network, stored.spec.preprocessing, **settings)


def write_boxes(tmp_path):
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\nphoto.jpg,0,0,70,48\nphoto,10,5,50,45\n")
    return tmp_path / "boxes.csv"


def expected(checkpoints, words):
    """The predictor that flags stand for, built by hand."""
    grid = lambda name, image: grid_boxes(48, 70, 50)  # noqa: E731
    whole = segmenter(checkpoints, "any")
    box = segmenter(checkpoints, "fixed")
    return {
        "--flip": segmenter(checkpoints, "any", flip=True),
        "--scales 0.5 1.5": MultiScale(whole, (0.5, 1.5)),
        "--tile 32": segmenter(checkpoints, "any", tile=32),
        "--ensemble OTHER": Ensemble(whole, segmenter(checkpoints, "other")),
        "--ensemble OTHER --ensemble-rule product": Ensemble(whole, segmenter(checkpoints, "other"), "product"),
        "--crf": Refined(whole, DenseCrf()),
        "--crf --crf-iterations 3 --crf-gaussian 2 1 --crf-bilateral 9 20 4": Refined(
            whole, DenseCrf((2, 1), (9, 20, 4), 3)
        ),
        "--proposals grid --box-size 48": ProposalSegmenter(whole, grid, side=48),
        "FIXED --proposals grid": ProposalSegmenter(box, grid),
        "FIXED --proposals grid --flip": ProposalSegmenter(segmenter(checkpoints, "fixed", flip=True), grid),
        "FIXED --proposals grid --aggregate sum --max-proposals 8": ProposalSegmenter(
            box, lambda name, image: grid_boxes(48, 70, 8), "sum"
        ),
        "FIXED --proposals grid --aggregate released --flip --ensemble ANY --ensemble-rule product --crf": Refined(
            Ensemble(
                ProposalSegmenter(segmenter(checkpoints, "fixed", flip=True), grid, "released"),
                segmenter(checkpoints, "any", flip=True),
                "product",
            ),
            DenseCrf(),
        ),
        "--scales 1 0.7 --flip --ensemble OTHER --crf": Refined(
            Ensemble(
                MultiScale(segmenter(checkpoints, "any", flip=True), (1, 0.7)),
                MultiScale(segmenter(checkpoints, "other", flip=True), (1, 0.7)),
            ),
            DenseCrf(),
        ),
    }[words]


COMBINATIONS = [
    "--flip",
    "--scales 0.5 1.5",
    "--tile 32",
    "--ensemble OTHER",
    "--ensemble OTHER --ensemble-rule product",
    "--crf",
    "--crf --crf-iterations 3 --crf-gaussian 2 1 --crf-bilateral 9 20 4",
    "--proposals grid --box-size 48",
    "FIXED --proposals grid",
    "FIXED --proposals grid --flip",
    "FIXED --proposals grid --aggregate sum --max-proposals 8",
    "FIXED --proposals grid --aggregate released --flip --ensemble ANY --ensemble-rule product --crf",
    "--scales 1 0.7 --flip --ensemble OTHER --crf",
]


@pytest.mark.parametrize("words", COMBINATIONS)
def test_flags_make_the_predictor(segment, checkpoints, words):
    networks = {"OTHER": str(checkpoints / "other.npz"), "ANY": str(checkpoints / "any.npz")}
    typed = [networks.get(word, word) for word in words.split()]
    name = "any"
    if typed[0] == "FIXED":
        name, typed = "fixed", typed[1:]
    image = sample(5, 48, 70)[0]
    wanted = to_mask(expected(checkpoints, words).probabilities(image[None], ("photo",))[0])
    np.testing.assert_array_equal(segment(name, *typed), wanted)
    assert 0 < wanted.mean() < 1 or "released" in words


@pytest.mark.parametrize(
    ("words", "boxes"),
    [
        ([], [Window(0, 0, 48, 70), Window(5, 10, 40, 40)]),
        (["--box-context", "1.5"], [Window(-12, -17, 72, 105), Window(-5, 0, 60, 60)]),
    ],
)
def test_boxes_of_a_file(segment, checkpoints, tmp_path, words, boxes):
    wanted = ProposalSegmenter(segmenter(checkpoints, "fixed"), lambda name, image: boxes)
    image = sample(5, 48, 70)[0]
    found = segment("fixed", "--proposals", write_boxes(tmp_path), *words)
    np.testing.assert_array_equal(found, to_mask(wanted.probabilities(image[None])[0]))


def test_boxes_have_the_side_that_training_gave_them(call, photo, tmp_path):
    """A network of any size that was trained on boxes, with and without cutting a crop out of them."""
    masks = []
    for crop, side in (([48, 48], 48), (None, 64)):
        about = recipe()
        about.settings.update({"curriculum": {"stage": 2, "box_size": 64}, "augmentation": {"crop": crop}})
        net = network()
        halve(net, about)
        save_checkpoint(tmp_path / "a.npz", Checkpoint(about, net))
        words = ("segment", tmp_path / "a.npz", photo, "--proposals", "grid", "--out", tmp_path / "out")
        for more in ((), ("--box-size", side)):
            assert call(*words, *more)[0] == 0
            masks.append((tmp_path / "out" / "photo.png").read_bytes())
    assert masks[0] == masks[1]
    assert masks[2] == masks[3] != masks[0]


def resized(checkpoints, name, size):
    """The probabilities of the photograph, resized by hand."""
    image = sample(5, 48, 70)[0]
    stored = load_checkpoint(checkpoints / f"{name}.npz")
    plain = Segmenter(stored.network, replace(stored.spec.preprocessing, resize=None))
    return resize_maps(plain.probabilities(resize_image(image, size)[None]), (48, 70))[0]


@pytest.mark.parametrize("name", ["any", "resizing"])
def test_another_size_at_inference(segment, checkpoints, name):
    found = segment(name, "--resize", "64x80")
    np.testing.assert_array_equal(found, to_mask(resized(checkpoints, name, (64, 80))))
    assert found.shape == (48, 70)
    assert (found != segment(name)).any()


@pytest.mark.parametrize(("words", "base"), [((), 32), (("--resize", "48"), 48)])
def test_scales_are_factors_on_the_resized_size(segment, checkpoints, words, base):
    found = segment("resizing", *words, "--scales", "1", "2")
    mean = sum(resized(checkpoints, "resizing", (side, side)) for side in (base, 2 * base)) / 2
    np.testing.assert_array_equal(found, to_mask(mean))
    assert (found != segment("resizing", *words)).any()


def test_boxes_round_segments(segment):
    pytest.importorskip("skimage")
    assert segment("fixed", "--proposals", "segments").shape == (48, 70)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("any", "--aggregate sum", "--aggregate: has no effect without --proposals"),
        ("any", "--max-proposals 3", "--max-proposals: has no effect without --proposals"),
        ("any", "--box-size 32", "--box-size: has no effect without --proposals"),
        ("fixed", "--proposals grid --box-context 2", "--box-context: cannot be combined with --proposals grid"),
        ("fixed", "--proposals x.csv --box-context 9", "--box-context 9.0: expected 0.5 to 4"),
        ("any", "--ensemble-rule mean", "--ensemble-rule: has no effect without --ensemble"),
        ("any", "--crf-iterations 3", "--crf-iterations: has no effect without --crf"),
        ("any", "--crf-gaussian 3 3", "--crf-gaussian: has no effect without --crf"),
        ("any", "--crf-bilateral 3 3 3", "--crf-bilateral: has no effect without --crf"),
        ("fixed", "--proposals grid --tile 32", "--tile: cannot be combined with --proposals"),
        ("fixed", "--proposals grid --overlap 3", "--overlap: cannot be combined with --proposals"),
        ("fixed", "--proposals grid --scales 1 2", "--scales: cannot be combined with --proposals"),
        ("fixed", "--tile 32", "this network takes 32×32 tiles only; leave out --tile"),
        ("resizing", "--scales 0.25 1", "at scale 0.25, the image is 8×8 pixels, but the network halves"),
        ("any", "--resize 8x40", "--resize 8×40 pixels (height × width): the image is 8×40 pixels"),
        ("any", "--resize 32x999999", "--resize 32 999999: expected at most 100000"),
        ("fixed", "--proposals grid --resize 32", "--resize: cannot be combined with --proposals"),
        ("any", "--proposals grid", "takes images of any size; set the size of its boxes with --box-size"),
        ("any", "--proposals grid --box-size 8", "at least 16×16 pixels"),
        ("fixed", "--proposals grid --box-size 64", "leave --box-size out"),
        ("fixed", "--proposals gird", "--proposals gird: no such file; expected grid, segments, or a CSV or JSON file"),
        ("any", "--scales 0", "--scales 0: expected numbers from 0.1 to 4"),
        ("any", "--scales nan", "--scales nan: expected"),
        ("any", "--scales 1 5", "--scales 1 5: expected"),
        ("any", "--scales", "--scales: a value is missing"),
        ("any", "--scales 0.2 1", "photo.png: at scale 0.2, the image is 10×14 pixels"),
        ("fixed", "--proposals grid --max-proposals 0", "--max-proposals 0: expected 1 to 10000"),
        ("any", "--crf --crf-iterations 0", "--crf-iterations 0: expected 1 to 1000"),
        (
            "any",
            "--crf --crf-gaussian 0 3",
            "--crf-gaussian 0 3: expected a standard deviation of 0.1 to 10000 and a weight of 0 to 10000",
        ),
        ("any", "--crf --crf-bilateral 20 3 -1", "--crf-bilateral 20 3 -1: expected"),
        ("any", "--crf --crf-bilateral 20 inf 1", "--crf-bilateral 20 inf 1: expected"),
        ("any", "--ensemble missing.npz", "missing.npz: no such checkpoint"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(segment, tmp_path, name, words, said):
    assert said in segment(name, *words.split())
    assert not (tmp_path / "out").exists()


def test_an_ensemble_needs_the_same_classes(segment, checkpoints):
    err = segment("any", "--ensemble", checkpoints / "classes.npz")
    assert "was trained on the classes cat, dog, but the first checkpoint on ground, square" in err


def test_an_image_without_boxes_stops_before_the_first_mask(call, checkpoints, photo, tmp_path):
    write_image(tmp_path / "zebra.png", sample(1, 48, 48)[0])
    words = ("--proposals", write_boxes(tmp_path), "--out", tmp_path / "out")
    code, said, err = call("segment", checkpoints / "fixed.npz", photo, tmp_path / "zebra.png", *words)
    assert (code, said) == (2, "")
    assert "zebra.png: " in err
    assert "has no box for the image zebra" in err
    assert not (tmp_path / "out").exists()


def test_evaluate_takes_the_same_flags(call, checkpoints, finished, tmp_path):
    words = ("--data", finished / "set", "--split", "all", "--out", tmp_path / "found.json")
    flags = ("--flip", "--scales", "0.5", "1", "--ensemble", checkpoints / "other.npz", "--crf")
    code, said, err = call("evaluate", checkpoints / "any.npz", *words, *flags)
    assert (code, err) == (0, "")
    assert "scales 0.5 1, flipped too, mean with" in said
    assert ", CRF" in said
    plain = call("evaluate", checkpoints / "any.npz", *words)[1]
    assert plain.splitlines()[0] == "bloodcell on 6 images, running statistics"
    assert plain.splitlines()[3:] != said.splitlines()[3:]
    code, _, err = call("evaluate", checkpoints / "any.npz", *words, "--aggregate", "sum")
    assert code == 2
    assert "--aggregate: has no effect without --proposals" in err


def test_evaluate_finds_boxes_by_the_names_of_images(call, checkpoints, finished, tmp_path):
    rows = [f"s{i}.png,0,0,32,32" for i in range(5)]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,x0,y0,x1,y1", *rows]))
    words = ("evaluate", checkpoints / "fixed.npz", "--data", finished / "set", "--out", tmp_path / "found.json")
    flags = ("--proposals", tmp_path / "boxes.csv")
    assert call(*words, *flags, "--split", "train")[0] == 0
    code, _, err = call(*words, *flags, "--split", "all")
    assert code == 2
    assert "s5: " in err
    assert "has no box for the image s5" in err
    assert err.count("\n") == 1
