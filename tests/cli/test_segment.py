import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import PALETTE, read_image, read_mask, write_image
from scratchnet.inference import Segmenter
from scratchnet.training import load_checkpoint
from tests.tiny import files, sample


@pytest.fixture
def checkpoint(finished):
    return finished / "run" / "checkpoint.npz"


@pytest.fixture
def photos(tmp_path):
    """Three images of other sizes than the network was trained on."""
    for name, size in (("a.png", (32, 32)), ("b.jpg", (45, 70)), ("c.tif", (20, 16))):
        write_image(tmp_path / "photos" / name, sample(1, *size)[0])
    return tmp_path / "photos"


def test_masks_have_the_image_s_size_and_hold_the_class(call, checkpoint, photos, tmp_path):
    out = tmp_path / "out"
    code, said, err = call("segment", checkpoint, photos / "a.png", photos / "b.jpg", "--out", out)
    assert (code, err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["a-overlay.png", "a.png", "b-overlay.png", "b.png"]
    assert "b.jpg: 45×70 pixels (height × width), ground " in said
    assert f"wrote 2 masks and overlays to {out}" in said
    stored = load_checkpoint(checkpoint)
    expected = Segmenter(stored.network, stored.spec.preprocessing).segment(read_image(photos / "b.jpg"))
    with Image.open(out / "b.png") as mask:
        assert (mask.mode, mask.size) == ("P", (70, 45))
        np.testing.assert_array_equal(np.array(mask), expected)
        np.testing.assert_array_equal(np.array(mask.getpalette()).reshape(-1, 3)[:2], PALETTE[:2])
    with Image.open(out / "b-overlay.png") as overlay:
        assert (overlay.mode, overlay.size) == ("RGB", (70, 45))


def test_folders_are_replaced_by_their_images(call, checkpoint, photos, tmp_path):
    (photos / "notes.txt").write_text("no image")
    (photos / "._a.png").write_bytes(b"what a Mac leaves on a stick")
    (photos / "inner.png").mkdir()
    code, said, _ = call("segment", checkpoint, photos, "--out", tmp_path / "out")
    assert code == 0
    assert "wrote 3 masks" in said
    assert {path.name for path in (tmp_path / "out").glob("*y.png")} == {f"{name}-overlay.png" for name in "abc"}


def test_many_images_do_not_flood(call, checkpoint, tmp_path):
    for index in range(5):
        write_image(tmp_path / "photos" / f"{index}.png", sample(index, 32, 32)[0])
    words = ("segment", checkpoint, tmp_path / "photos", "--out", tmp_path / "out")
    code, said, err = call(*words)
    assert (code, err, len(said.splitlines())) == (0, "", 2)
    assert said.startswith("mean: ground ")
    assert len(call(*words, "--verbose")[1].splitlines()) == 7
    assert call(*words, "--quiet") == (0, "", "")
    found = json.loads(call(*words, "--json")[1], parse_constant=pytest.fail)
    assert [each["size"] for each in found["images"]] == [[32, 32]] * 5
    for each in found["images"]:
        with Image.open(each["mask"]) as mask:
            counts = np.bincount(np.array(mask).ravel(), minlength=2).tolist()
        assert list(each["pixels"].values()) == counts


@pytest.mark.parametrize(
    "words", [["--bn-statistics", "batch"], ["--tile", "32"], ["--tile", "32", "--overlap", "0"]], ids=" ".join
)
def test_options(call, checkpoint, tmp_path, words):
    write_image(tmp_path / "large.png", sample(2, 90, 100)[0])
    results = []
    for out, more in (("plain", []), ("other", words)):
        assert call("segment", checkpoint, tmp_path / "large.png", "--out", tmp_path / out, *more)[0] == 0
        with Image.open(tmp_path / out / "large.png") as mask:
            results.append(np.array(mask))
    assert results[0].shape == results[1].shape == (90, 100)
    if words[0] == "--bn-statistics":
        assert (results[0] != results[1]).any()


def test_two_images_whose_names_differ_in_case_are_refused(call, checkpoint, photos, tmp_path):
    """On many disks their masks would be one file."""
    (tmp_path / "more").mkdir()
    write_image(tmp_path / "more" / "A.png", sample(1)[0])
    code, _, err = call("segment", checkpoint, photos / "a.png", tmp_path / "more" / "A.png", "--out", tmp_path / "out")
    assert code == 2
    assert "A.png; segment them apart" in err


def test_two_images_of_one_name_are_refused(call, checkpoint, photos, tmp_path):
    write_image(photos / "a.jpg", sample(1)[0])
    code, _, err = call("segment", checkpoint, photos, "--out", tmp_path / "out")
    assert code == 2
    assert "a.png and" in err
    assert "a.jpg would both be written as a.png; segment them apart" in err
    assert not (tmp_path / "out").exists()


def test_an_overlay_s_name_may_be_an_image_s_name_too(call, checkpoint, photos, tmp_path):
    write_image(photos / "a-overlay.png", sample(1)[0])
    code, _, err = call("segment", checkpoint, photos, "--out", tmp_path / "out")
    assert code == 2
    assert "would both be written as a-overlay.png" in err


def test_the_images_are_not_overwritten(call, checkpoint, photos):
    before = files(photos)
    for out in (photos, photos / "inner" / ".."):
        (photos / "inner").mkdir(exist_ok=True)
        code, _, err = call("segment", checkpoint, photos / "a.png", "--out", out)
        assert code == 2
        assert "a.png: is one of the images and would be overwritten; choose another --out" in err
    assert files(photos) == before


def test_an_image_under_another_name_is_not_overwritten_either(call, checkpoint, photos, tmp_path):
    """As where upper and lower case are one: a.PNG would be lost to its mask a.png."""
    (photos / "d.PNG").hardlink_to(photos / "a.png")
    (photos / "d.png").hardlink_to(photos / "a.png")
    answer = call("segment", checkpoint, photos / "d.PNG", "--out", photos)
    assert answer[0] == 2
    assert "d.png: is one of the images and would be overwritten" in answer[2]


def test_a_bad_image_at_the_end_stops_before_the_first_mask(call, checkpoint, photos, tmp_path):
    (photos / "z.png").write_bytes((photos / "a.png").read_bytes()[:200])
    code, said, err = call("segment", checkpoint, photos, "--out", tmp_path / "out")
    assert (code, said) == (2, "")
    assert "z.png: damaged or no image" in err
    assert not (tmp_path / "out").exists()


def test_batch_statistics_of_a_single_pixel(call, checkpoint, photos, tmp_path):
    """A 16×16 image is one pixel in the middle of a network of stride 16."""
    write_image(tmp_path / "tiny.png", sample(0, 16, 16)[0])
    code, _, err = call(
        "segment", checkpoint, tmp_path / "tiny.png", "--bn-statistics", "batch", "--out", tmp_path / "out"
    )
    assert code == 2
    assert "tiny.png: batch norm: one pixel" in err
    assert err.count("\n") == 1


def test_a_large_photograph_is_no_cause_for_alarm(call, checkpoint, photos, tmp_path, monkeypatch):
    """Pillow warns of images of more than 89 megapixels, and refuses those of twice as many; here memory decides."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("a.png", "b.jpg"):
        code, _, err = call("segment", checkpoint, photos / name, "--out", tmp_path / "out")
        assert (code, err) == (0, "")
    assert Image.MAX_IMAGE_PIXELS == 100
    monkeypatch.setattr("scratchnet.data.image_rows.available_memory", lambda: 1000)
    code, said, err = call("segment", checkpoint, photos / "b.jpg", "--out", tmp_path / "out")
    assert (code, said) == (2, "")
    assert "b.jpg: too large to open at once" in err


def test_what_needs_the_whole_image_is_refused_where_memory_is_short(call, checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.inference.by_rows.available_memory", lambda: 10_000)
    image = ("segment", checkpoint, photos / "a.png", "--out", tmp_path / "out", "--tile", 16)
    assert call(*image)[0] == 0
    code, said, err = call(*image, "--scales", 1, 1.25, "--overwrite")
    assert (code, said) == (2, "")
    assert re.search(
        r"a.png: \d+×\d+ pixels need about 0.0 GiB when all are predicted at once, .* leave out --scales", err
    )


@pytest.mark.parametrize("flag", ["--no-overlay", "limit", "--overlay"])
def test_masks_without_overlay_are_the_same_and_written_as_they_are_made(
    flag, call, checkpoint, photos, tmp_path, monkeypatch
):
    words = ("segment", checkpoint, photos / "a.png", "--tile", 16, "--out")
    assert call(*words, tmp_path / "with")[0] == 0
    if flag != "--no-overlay":
        monkeypatch.setattr("scratchnet.cli.segment.OVERLAY_PIXELS", 1)
    code, said, err = call(*words, tmp_path / "out", *([] if flag == "limit" else [flag]))
    assert (code, err) == (0, "")
    assert ("--overlay writes them too" in said) == (flag == "limit")
    assert (tmp_path / "out" / "a-overlay.png").exists() == (flag == "--overlay")
    found, expected = (Image.open(tmp_path / folder / "a.png") for folder in ("out", "with"))
    assert found.mode == "P"
    assert found.getpalette() == expected.getpalette()
    assert found.text == expected.text
    np.testing.assert_array_equal(np.array(found), np.array(expected))
    assert call(*words, tmp_path / "out")[0] == 0  # a file of ours, which may be replaced


def test_every_kind_of_image_in_a_folder_is_segmented_and_the_rest_is_named(call, checkpoint, tmp_path):
    image = Image.fromarray(sample(1, 32, 32)[0])
    (tmp_path / "photos").mkdir()
    names = [f"{suffix}{suffix}" for suffix in (".webp", ".jfif", ".jpe", ".jp2", ".ppm", ".TIF", ".tga", ".ico")]
    for name in names:
        image.save(tmp_path / "photos" / f"p{name[1:]}")
    (tmp_path / "photos" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "photos" / "scan.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "photos" / "Thumbs.db").write_bytes(b"x")
    code, said, err = call("segment", checkpoint, tmp_path / "photos", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert f"wrote {len(names)} masks" in said
    assert (
        "leaving out 2 files of kinds that cannot be read as images: phone.heic (a HEIC/HEIF image), scan.dcm" in said
    )
    assert "Thumbs" not in said


def test_the_declared_range_goes_from_training_to_every_command(call, train, images, tmp_path):
    """12-bit images: trained with --range, then measured, segmented and explained without a word about it."""
    for path in (images / "images").iterdir():
        grey = np.array(Image.open(path).convert("L"), np.uint16) * 16
        Image.fromarray(grey).save(path)
    code, _, err = train(images, tmp_path / "none")
    assert code == 2
    assert "say with --range LOW HIGH" in err
    assert call("data", "check", images, "--range", "0", "4080")[0] == 0
    assert call("data", "weights", images, "--range", "0", "4080")[0] == 0
    assert train(images, tmp_path / "run", "--range", "0", "4080")[0] == 0
    checkpoint, photo = tmp_path / "run" / "checkpoint.npz", images / "images" / "s0.png"
    assert load_checkpoint(checkpoint).spec.preprocessing.range == (0, 4080)
    assert call("evaluate", checkpoint, "--data", images)[0] == 0
    assert call("segment", checkpoint, photo, "--out", tmp_path / "masks")[0] == 0
    assert call("explain", checkpoint, photo, "--out", tmp_path / "page.html")[0] == 0
    code, _, err = call("train", "--resume", "--out", tmp_path / "run", "--range", "0", "65535", "--epochs", "2")
    assert code == 2
    assert "was trained with range (0" in err
    assert train(images, tmp_path / "odd", "--range", "9", "1")[0] == 2


def test_colours_of_the_class_file_are_those_of_the_masks(call, train, images, tmp_path):
    lines = "# label:color_rgb:parts:actions\nground:0,0,0::\nsquare:10,200,30::\n"
    (images / "classes.txt").write_text(lines)
    assert train(images, tmp_path / "run")[0] == 0
    photo = images / "images" / "s0.png"
    assert call("segment", tmp_path / "run" / "checkpoint.npz", photo, "--out", tmp_path / "out")[0] == 0
    with Image.open(tmp_path / "out" / "s0.png") as mask:
        assert mask.getpalette()[:6] == [0, 0, 0, 10, 200, 30]
    read_mask(tmp_path / "out" / "s0.png")


def test_all_bad_images_are_counted_at_once(call, plain, tmp_path):
    folder = shutil.copytree(plain / "set" / "images", tmp_path / "photos")
    for index in range(6):
        (folder / f"bad{index}.png").write_bytes(b"no image")
    code, said, err = call("segment", plain / "run" / "checkpoint.npz", folder, "--out", tmp_path / "masks")
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert f"{folder / 'bad0.png'}: " in err
    assert "; 5 more of the 12 images cannot be used: bad1.png, bad2.png, bad3.png, …" in err
