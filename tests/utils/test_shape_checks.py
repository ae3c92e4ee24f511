"""Arrays of another shape or type at the public entrances: one ValueError that says what came and what was expected."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratchnet import data, evaluation, inference, visualization
from scratchnet.data.frequencies import ClassCounts
from scratchnet.data.objects.separation import Objects
from scratchnet.visualization.plots import examples_figure
from tests.tiny import recipe

IMAGE = np.zeros((16, 16, 3), np.uint8)
MASK = np.eye(16, dtype=np.uint8)
MAPS = np.full((16, 16, 2), 0.5, np.float32)


@pytest.fixture(scope="module")
def segmenter() -> inference.Segmenter:
    made = recipe()
    return inference.Segmenter(made.build().allocate(seed=0).eval(), made.preprocessing)


OTHER_IMAGES = {
    "RGBA": np.zeros((16, 16, 4), np.uint8),
    "grey": np.zeros((16, 16), np.uint8),
    "grey with an axis": np.zeros((16, 16, 1), np.uint8),
    "channels first": np.zeros((3, 16, 16), np.uint8),
    "five axes": np.zeros((1, 1, 16, 16, 3), np.uint8),
    "float": np.zeros((16, 16, 3), np.float32),
    "16-bit": np.zeros((16, 16, 3), np.uint16),
    "no pixels": np.zeros((0, 16, 3), np.uint8),
    "a list": [[[0, 0, 0]]],
}
OTHER_MASKS = {
    "one axis": np.zeros(16, np.uint8),
    "a last axis": np.zeros((16, 16, 1), np.uint8),
    "a batch": np.zeros((1, 16, 16), np.uint8),
    "float": np.zeros((16, 16), np.float32),
}
Call = Callable[[inference.Segmenter, Path, object], object]


def boxed(segmenter: inference.Segmenter) -> inference.ProposalSegmenter:
    return inference.ProposalSegmenter(segmenter, lambda name, image: [], side=16)


IMAGES: dict[str, Call] = {
    "write_image": lambda s, d, x: data.write_image(d / "x.png", x),
    "resize_image": lambda s, d, x: data.resize_image(x, (8, 8)),
    "augment": lambda s, d, x: data.augment(x, MASK, np.random.default_rng(0), data.Augmentation(), lambda r: None),
    "Preprocessing.apply": lambda s, d, x: data.Preprocessing("none").apply(x[None]),
    "Segmenter.segment": lambda s, d, x: s.segment(x),
    "Segmenter.probabilities": lambda s, d, x: s.probabilities(x[None]),
    "Segmenter.scores": lambda s, d, x: s.scores(x[None]),
    "Segmenter.crops": lambda s, d, x: s.crops(x[None]),
    "Segmenter.check": lambda s, d, x: s.check(x),
    "MultiScale.probabilities": lambda s, d, x: inference.MultiScale(s, (1.0, 2.0)).probabilities(x[None]),
    "MultiScale.scores": lambda s, d, x: inference.MultiScale(s, (1.0, 2.0)).scores(x[None]),
    "MultiScale.check": lambda s, d, x: inference.MultiScale(s, (1.0,)).check(x),
    "Ensemble.probabilities": lambda s, d, x: inference.Ensemble(s, s).probabilities(x[None]),
    "Ensemble.check": lambda s, d, x: inference.Ensemble(s, s).check(x),
    "Refined.probabilities": lambda s, d, x: inference.Refined(s, inference.DenseCrf()).probabilities(x[None]),
    "Refined.check": lambda s, d, x: inference.Refined(s, inference.DenseCrf()).check(x),
    "ProposalSegmenter": lambda s, d, x: inference.ProposalSegmenter(s, lambda n, i: [], side=16).probabilities(
        x[None]
    ),
    "ProposalSegmenter.check": lambda s, d, x: inference.ProposalSegmenter(s, lambda n, i: [], side=16).check(x),
    "DenseCrf.refine": lambda s, d, x: inference.DenseCrf().refine(x, MAPS),
    "all_background_baseline": lambda s, d, x: evaluation.all_background_baseline(x),
    "ThresholdBaseline": lambda s, d, x: evaluation.ThresholdBaseline("red", 1, True).predict(x),
    "fit_threshold_baseline": lambda s, d, x: evaluation.fit_threshold_baseline([(x, MASK)]),
    "overlay": lambda s, d, x: visualization.overlay(x, MASK),
    "examples_figure": lambda s, d, x: examples_figure([("x", x, MASK, MASK)]),
    "forward_pass_frames": lambda s, d, x: visualization.forward_pass_frames(
        s.network, x, np.zeros((1, 16, 16, 3)), MASK
    ),
}
MASKS: dict[str, Call] = {
    "write_mask": lambda s, d, x: data.write_mask(d / "x.png", x),
    "resize_mask": lambda s, d, x: data.resize_mask(x, (8, 8)),
    "augment": lambda s, d, x: data.augment(IMAGE, x, np.random.default_rng(0), data.Augmentation(), lambda r: None),
    "connected_components": lambda s, d, x: data.connected_components(x),
    "bounding_boxes": lambda s, d, x: data.bounding_boxes(x),
    "find_objects": lambda s, d, x: data.find_objects(x),
    "find_objects, numbers": lambda s, d, x: data.find_objects(MASK, 255, x),
    "ClassCounts.add": lambda s, d, x: ClassCounts(2).add(x),
    "BorderWeights": lambda s, d, x: data.BorderWeights()(x[None]),
    "within": lambda s, d, x: evaluation.within(x, 2),
    "boundary_f1": lambda s, d, x: evaluation.boundary_f1(x, MASK, 2),
    "boundary_f1, prediction": lambda s, d, x: evaluation.boundary_f1(MASK, x, 2),
    "boundary_band": lambda s, d, x: evaluation.boundary_band(x, 2),
    "regions": lambda s, d, x: evaluation.regions(x),
    "object_scores": lambda s, d, x: evaluation.object_scores(x, MASK, Objects(MASK, {}, {})),
    "object_scores, prediction": lambda s, d, x: evaluation.object_scores(MASK, x, Objects(MASK, {}, {})),
    "DetailCounter.add": lambda s, d, x: evaluation.DetailCounter(("a", "b")).add("x", x, MASK),
    "DetailCounter.add, prediction": lambda s, d, x: evaluation.DetailCounter(("a", "b")).add("x", MASK, x),
    "fit_threshold_baseline": lambda s, d, x: evaluation.fit_threshold_baseline([(IMAGE, x)]),
    "colorize": lambda s, d, x: visualization.colorize(x),
    "overlay": lambda s, d, x: visualization.overlay(IMAGE, x),
    "error_map": lambda s, d, x: visualization.error_map(x, MASK),
    "error_map, prediction": lambda s, d, x: visualization.error_map(MASK, x),
    "examples_figure": lambda s, d, x: examples_figure([("x", IMAGE, MASK, x)]),
    "colorize_switches": lambda s, d, x: visualization.colorize_switches(x, 2),
}


def assert_refused(call: Call, *arguments: object) -> None:
    with pytest.raises(ValueError, match=r"expected|got") as caught:
        call(*arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert "broadcast" not in str(caught.value)


@pytest.mark.parametrize("form", OTHER_IMAGES)
@pytest.mark.parametrize("name", IMAGES)
def test_images_of_another_form(segmenter: inference.Segmenter, tmp_path: Path, name: str, form: str) -> None:
    image = OTHER_IMAGES[form]
    if form == "a list" and "[None]" in name:
        pytest.skip("a list has no axes")
    if name == "write_image" and form == "grey":
        IMAGES[name](segmenter, tmp_path, image)
        return
    if isinstance(image, list) and name.rsplit(".", maxsplit=1)[-1] not in {"segment", "check", "refine"}:
        image = np.array(image)
    assert_refused(IMAGES[name], segmenter, tmp_path, image)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("form", OTHER_MASKS)
@pytest.mark.parametrize("name", MASKS)
def test_masks_of_another_form(segmenter: inference.Segmenter, tmp_path: Path, name: str, form: str) -> None:
    assert_refused(MASKS[name], segmenter, tmp_path, OTHER_MASKS[form])
    assert not [*tmp_path.iterdir()]


def test_sizes_that_differ() -> None:
    for call in (
        lambda: data.augment(IMAGE, MASK[:8], np.random.default_rng(0), data.Augmentation(), lambda r: None),
        lambda: visualization.overlay(IMAGE, MASK[:8]),
        lambda: inference.DenseCrf().refine(IMAGE, MAPS[:8]),
        lambda: evaluation.boundary_f1(MASK, MASK[:8], 2),
        lambda: data.find_objects(MASK, 255, MASK[:8]),
        lambda: evaluation.metrics(np.zeros((2, 3))),
    ):
        with pytest.raises(ValueError, match=r"shape|expected|rows"):
            call()  # type: ignore[no-untyped-call]


def test_the_words_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"resize_image: expected an image \(h, w, 3\) of uint8, got \(4, 4, 4\).*RGB"):
        data.resize_image(np.zeros((4, 4, 4), np.uint8), (2, 2))
    with pytest.raises(ValueError, match="convert it to RGB, it looks grey"):
        inference.DenseCrf().refine(np.zeros((4, 4), np.uint8), MAPS)
    with pytest.raises(ValueError, match=r"astype\(numpy.uint8\)"):
        data.resize_image(np.zeros((4, 4, 3)), (2, 2))
