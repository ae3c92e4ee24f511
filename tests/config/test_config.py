import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.config import (
    DataSettings,
    ModelSettings,
    TrainingSettings,
    TrainSettings,
    check_data_settings,
    check_settings,
    read_settings,
    recipe_names,
    write_settings,
)
from scratchnet.data import Augmentation, Curriculum
from scratchnet.utils.errors import UserError


def written(tmp_path, text):
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


EVERYTHING = TrainSettings(
    "runs/first",
    DataSettings("set", "camvid", classes=11, mask_threshold=100, ignore_index=11, resize=(360, 480), tile=64),
    ModelSettings("deconvnet-small", 96, True, "switches", 2.5),
    TrainingSettings(iterations=7, learning_rate=1e-05, class_weights=(0.5, 2.0), patience=3, recalibrate=False),
    Augmentation(True, crop=(64, 96), scale=(0.5, 2.0), hue=0.02),
)
STAGED = TrainSettings(
    training=TrainingSettings(start_from="one/checkpoint.npz", lr_step_updates=9000),
    curriculum=Curriculum(2, 72, 1.5, 0.4, 2, 5),
)


def test_pixels_are_prepared_as_the_starting_weights_expect():
    assert TrainSettings().normalization == "dataset"
    pretrained = TrainSettings(training=TrainingSettings(init_weights="vgg16.pth"))
    assert pretrained.normalization == "torchvision"
    assert replace(pretrained, data=DataSettings(normalization="caffe")).normalization == "caffe"


def test_there_are_recipes():
    assert {"demo"} <= set(recipe_names())


NAMED = TrainSettings(
    data=DataSettings(classes=("sky", "tree", "car")), training=TrainingSettings(class_weights="median-frequency")
)


@pytest.mark.parametrize(
    "settings", [TrainSettings(), EVERYTHING, NAMED, STAGED], ids=["defaults", "everything", "names", "staged"]
)
def test_what_is_written_is_read_again(tmp_path, settings):
    assert read_settings(written(tmp_path, write_settings(settings))) == settings


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=12)
NUMBERS = st.floats(allow_nan=False)


@given(WORDS, WORDS, NUMBERS, st.none() | st.lists(NUMBERS, min_size=1, max_size=4).map(tuple), st.integers(0, 2**62))
def test_any_text_and_number_survives(tmp_path_factory, out, data, rate, weights, seed):
    training = TrainingSettings(learning_rate=rate, class_weights=weights, seed=seed)
    settings = TrainSettings(out, DataSettings(data), training=training)
    assert read_settings(written(tmp_path_factory.mktemp("toml"), write_settings(settings))) == settings


def test_what_is_left_out_keeps_its_default(tmp_path):
    settings = read_settings(written(tmp_path, "[training]\nepochs = 3\n"))
    assert settings == replace(TrainSettings(), training=TrainingSettings(epochs=3))
    assert read_settings(written(tmp_path, "")) == TrainSettings()


def test_a_whole_number_will_do_for_a_float(tmp_path):
    settings = read_settings(written(tmp_path, "[training]\nlearning_rate = 1\n[augmentation]\nscale = [1, 2]\n"))
    assert settings.training.learning_rate == 1
    assert settings.augmentation.scale == (1, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = 3", "unknown setting 'epochs'; known here: out, data, model, training, augmentation"),
        ("[training]\nepoch = 3", r"\[training\]: unknown setting 'epoch'; known here: epochs, "),
        ("[training]\naccumulate = 8", "unknown setting 'accumulate'; it is called 'gradient_accumulation' now"),
        ("[optimizer]\nname = 'sgd'", "unknown setting 'optimizer'"),
        ("training = 3", r"'training' must be a table, \[training\]"),
        ("out = 3", "'out' is 3, but int is not an instance of str"),
        ("[training]\nbatch_size = '3'", "'batch_size' is '3', but str is not"),
        ("[training]\nepochs = 1.5", "'epochs' is 1.5, but float did not match"),
        ("[training]\nepochs = true", "'epochs' is True, but true and false are not numbers"),
        ("[training]\npatience = false", "'patience' is False"),
        ("[training]\nclass_weights = 'camvit'", "'class_weights' is 'camvit'"),
        ("[training]\noptimizer = 'rmsprop'", "'optimizer' is 'rmsprop'"),
        ("[training]\nclass_weights = [1.0, 'a']", "'class_weights' is"),
        ("[training]\nclass_weights = 1.0", "'class_weights' is 1.0"),
        ("[augmentation]\ncrop = [16]", "'crop' is"),
        ("[augmentation]\ncrop = [16, 16, 3]", "'crop' is"),
        ("[augmentation]\ncrop = [16, 16.5]", "'crop' is"),
        ("[data]\nlayout = 'coco'", "'layout' is 'coco'"),
        ("[training\nepochs = 3", "not valid TOML"),
        ("[training]\nepochs = 3\nepochs = 4", "not valid TOML"),
    ],
)
def test_what_is_none_of_ours(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as caught:
        read_settings(written(tmp_path, text))
    assert "my.toml" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml: no such file; check the name"):
        read_settings(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UserError, match=r"folder\.toml: is a folder, expected a TOML file"):
        read_settings(str(tmp_path / "folder.toml"))
    (tmp_path / "latin.toml").write_bytes(b'out = "Gr\xfcn"')
    with pytest.raises(UserError, match=r"latin\.toml: not valid TOML"):
        read_settings(str(tmp_path / "latin.toml"))
    with pytest.raises(UserError, match=r"config 'cell': no \.toml file and no recipe; recipes: .*demo"):
        read_settings("cell")


# Values ---------------------------------------------------------------------------------------------------------------


def test_the_defaults_are_good():
    check_settings(TrainSettings())
    check_settings(EVERYTHING)
    check_settings(STAGED)


@pytest.mark.parametrize("name", [f.name for f in fields(TrainingSettings) if f.type in (int, float, int | None)])
def test_no_number_of_the_training_may_be_negative(name):
    settings = TrainSettings(training=replace(TrainingSettings(), **{name: -1}))
    with pytest.raises(UserError, match=f"^{name}=-1: expected "):
        check_settings(settings)


@pytest.mark.parametrize("name", [f.name for f in fields(TrainingSettings) if f.type is float])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_every_number_of_the_training_is_finite(name, value):
    with pytest.raises(UserError, match=f"^{name}={value}: expected "):
        check_settings(TrainSettings(training=replace(TrainingSettings(), **{name: value})))


@pytest.mark.parametrize("name", [f.name for f in fields(Augmentation) if f.type is float and f.name != "elastic"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_every_strength_is_a_share(name, value):
    with pytest.raises(UserError, match=f"^{name}={value}: expected a number from 0 to 1"):
        check_settings(TrainSettings(augmentation=replace(Augmentation(), **{name: value})))


def test_the_data_are_checked_with_the_rest():
    for check, settings in (
        (check_data_settings, DataSettings(ignore_index=256)),
        (check_settings, TrainSettings(data=DataSettings(ignore_index=256))),
    ):
        with pytest.raises(UserError, match=r"^ignore_index=256: expected 0 to 255"):
            check(settings)


@pytest.mark.parametrize(("classes", "words"), [(1, "1"), (257, "257"), (("sky",), r"\('sky',\)")])
def test_one_class_is_too_few(classes, words):
    with pytest.raises(UserError, match=f"^classes={words}: expected 2 to 256"):
        check_data_settings(DataSettings(classes=classes))


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        (DataSettings(), ("index", 127)),
        (DataSettings(mask_format="binary"), ("binary", 127)),
        (DataSettings(mask_threshold=90), ("threshold", 90)),
        (DataSettings(mask_format="binary", mask_threshold=0), ("threshold", 0)),
        (DataSettings(mask_format="threshold"), ("threshold", 127)),
    ],
)
def test_a_threshold_implies_its_format(settings, read):
    assert settings.masks == {
        "mask_format": read[0],
        "mask_threshold": read[1],
        "ignore_index": 255,
        "mask_values": None,
    }


def test_options_that_are_not_set_are_left_to_the_model():
    assert ModelSettings().options() == {}
    assert ModelSettings(batch_norm=False, width=0.5).options() == {"batch_norm": False, "width": 0.5}
    width = ModelSettings(width=16.0, size=64).options()["width"]
    assert (width, type(width)) == (16, int)
    assert ModelSettings(width=16).options() == {"width": 16}
