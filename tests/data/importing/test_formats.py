import base64
import json

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import check_dataset, open_dataset, read_boxes
from scratchnet.data.importing import read_export, write_export
from scratchnet.utils.errors import UserError


def save_image(path, height=5, width=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)).save(path)


def save_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def shape(label, points, kind="polygon", group=None):
    return {"label": label, "points": points, "shape_type": kind, "group_id": group}


def labelme(image, *shapes, size=(5, 7), data=None):
    height, width = size
    return {"shapes": shapes, "imagePath": image, "imageData": data, "imageHeight": height, "imageWidth": width}


def coco(*annotations, size=(5, 7)):
    categories = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}]
    images = [{"id": 7, "file_name": "a.png", "height": size[0], "width": size[1]}]
    return {"images": images, "annotations": annotations, "categories": categories}


def annotation(segmentation, category=3, crowd=0):
    return {"image_id": 7, "category_id": category, "segmentation": segmentation, "iscrowd": crowd}


def imported(source, out, **options):
    report = write_export(read_export(source, **options), out)
    return report, open_dataset(out)


def rows(mask):
    return ["".join("." if v == 0 else "x" if v == 255 else str(v) for v in row) for row in mask]


L_SHAPE = [[1, 0], [3, 0], [3, 3], [6, 3], [6, 5], [1, 5]]


def test_labelme(tmp_path):
    source = tmp_path / "source"
    save_image(source / "a.png")
    shapes = (
        shape("dog", L_SHAPE),
        shape("cat", [[5, 4], [2, 1]], "rectangle"),
        shape("dog", [[0, 0], [0, 1]], "circle"),
    )
    save_json(
        source / "a.json", labelme("..\\source\\a.png", *shapes, shape("__ignore__", [[6, 4], [7, 5]], "rectangle"))
    )
    report, dataset = imported(source, tmp_path / "out")
    assert (report.written, report.problems) == (1, ())
    assert dataset.classes == ("background", "cat", "dog")
    assert rows(dataset.load(0)[1]) == ["222....", ".2111..", ".2111..", ".21112.", ".22222x"]
    assert rows(dataset.load_instances(0)) == ["311....", ".1222..", ".1222..", ".12221.", ".11111."]
    boxes, problems = read_boxes(tmp_path / "out" / "boxes.csv", dataset.classes)
    assert problems == []
    assert [(b.image, b.label, tuple(b.box)) for b in boxes] == [
        ("a", 2, (0, 1, 5, 5)),
        ("a", 1, (1, 2, 3, 3)),
        ("a", 2, (0, 0, 1, 1)),
    ]
    assert check_dataset(tmp_path / "out").ok


def test_labelme_groups_and_image_data(tmp_path):
    save_image(tmp_path / "other.png")
    data = base64.b64encode((tmp_path / "other.png").read_bytes()).decode()
    left, right = [[0, 0], [1, 2]], [[5, 0], [7, 2]]
    shapes = (shape("dog", left, "rectangle", 4), shape("dog", right, "rectangle", 4))
    save_json(tmp_path / "source" / "a.json", labelme("missing.png", *shapes, data=data))
    report, dataset = imported(tmp_path / "source", tmp_path / "out")
    assert report.problems == ()
    assert rows(dataset.load_instances(0))[0] == "1....11"
    assert (tmp_path / "out" / "images" / "a.png").read_bytes() == (tmp_path / "other.png").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (labelme("none.png", shape("dog", L_SHAPE)), "has no image: no file"),
        (labelme("none.png", data="!"), "no image that can be read"),
        (
            labelme("a.png", shape("dog", L_SHAPE, "linestrip")),
            "shape 1 is of type 'linestrip'; expected one of polygon",
        ),
        (labelme("a.png", shape("dog", L_SHAPE, [])), "shape 1 is of type []"),
        (labelme("a.png", shape("dog", L_SHAPE[:2])), "shape 1: expected at least 3 points"),
        (labelme("a.png", shape("dog", [[0, 0], [1, "x"], [2, 2]])), "shape 1: expected at least 3 points"),
        (labelme("a.png", shape("dog", [[0, 0], [1e300, 1], [2, 2]])), "shape 1: expected at least 3 points"),
        (labelme("a.png", shape(5, L_SHAPE)), "has the label 5, expected a name"),
        (labelme("a.png", size=(7, 5)), "5×7 pixels but was labelled with 7×5"),
        ([], "holds no JSON object"),
    ],
)
def test_labelme_files_that_are_left_out(tmp_path, content, words):
    source = tmp_path / "source"
    save_image(source / "a.png")
    save_json(source / "a.json", labelme("a.png", shape("dog", L_SHAPE)))
    save_json(source / "b.json", content)
    report, dataset = imported(source, tmp_path / "out")
    assert dataset.names == ("a",)
    assert len(report.problems) == 1
    assert words in report.problems[0]
    assert "b" in report.problems[0]


def test_coco(tmp_path):
    save_image(tmp_path / "source" / "images" / "a.png")
    runs = {"size": [5, 7], "counts": [26, 2, 7]}
    two = [[0, 0, 2, 0, 2, 1, 0, 1], [0, 4, 1, 4, 1, 5, 0, 5]]
    crowd = annotation({"size": [5, 7], "counts": [34, 1]}, crowd=1)
    l_shape = [[value for point in L_SHAPE for value in point]]
    content = coco(annotation(l_shape, 90), annotation(runs), annotation(two), crowd)
    save_json(tmp_path / "source" / "labels.json", content)
    report, dataset = imported(tmp_path / "source", tmp_path / "out")
    assert (report.written, report.problems) == (1, ())
    assert dataset.classes == ("background", "cat", "dog")
    assert rows(dataset.load(0)[1]) == ["112....", ".22..1.", ".22..1.", ".22222.", "1222221"]
    assert rows(dataset.load_instances(0)) == ["331....", ".11..2.", ".11..2.", ".11111.", "311111."]
    again = imported(tmp_path / "source" / "labels.json", tmp_path / "again", classes=("ground", "dog", "cat"))[1]
    assert rows(again.load(0)[1])[0] == "221...."


def test_compressed_runs(tmp_path):
    save_image(tmp_path / "a.png")
    save_json(tmp_path / "labels.json", coco(annotation({"size": [5, 7], "counts": "j027"})))
    assert imported(tmp_path / "labels.json", tmp_path / "out")[1].load(0)[1].sum() == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (coco(annotation([])), "has no segmentation"),
        (coco(annotation([[0, 0, 1]])), "is no list x, y"),
        (coco(annotation([L_SHAPE])), "expected at least 3 points"),
        (coco(annotation({"size": [5, 7], "counts": [3]})), "add up to 3, expected 5×7 = 35"),
        (coco(annotation({"size": [1 << 30, 1 << 30], "counts": [1 << 60]})), "in an image of 5×7"),
        (coco(annotation([[0, 0, 1, 1, 0, 1]], category=4)), "the category 4 is not in the file"),
        (coco(size=(1 << 30, 1 << 30)), "was labelled with 1073741824"),
        (coco() | {"images": [{"id": 7, "file_name": "z.png"}]}, "z.png: no such image in"),
        (coco() | {"images": [{"id": 7}]}, "has no file_name"),
        (coco() | {"images": []}, "has no images"),
        (coco() | {"annotations": [{"image_id": 8}]}, "is of image 8, which is not in the file"),
        (coco() | {"categories": [{"id": 1, "name": ""}]}, "is empty or occurs twice"),
        (coco() | {"categories": [{"id": n, "name": str(n)} for n in range(300)]}, "301 classes"),
        ({"a": 1}, "of no known format"),
        ([], "of no known format"),
    ],
)
def test_coco_files_that_are_refused(tmp_path, content, words):
    save_image(tmp_path / "a.png")
    save_json(tmp_path / "labels.json", content)
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        imported(tmp_path / "labels.json", tmp_path / "out")


def test_sources_that_are_none(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read_export(tmp_path / "none")
    with pytest.raises(UserError, match="nothing to import"):
        read_export(tmp_path)
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not valid JSON"):
        read_export(tmp_path)
    for name in ("b", "c"):
        save_json(tmp_path / f"{name}.json", coco())
    with pytest.raises(UserError, match=r"b\.json and c\.json are both COCO files"):
        read_export(tmp_path)


def test_equal_names_in_two_folders(tmp_path):
    for folder in "xy":
        save_image(tmp_path / folder / "a.png")
    images = [{"id": index, "file_name": f"{folder}/a.png"} for index, folder in enumerate("xy")]
    save_json(tmp_path / "labels.json", coco() | {"images": images})
    assert imported(tmp_path, tmp_path / "out")[1].names == ("x-a", "y-a")


def test_many_objects_and_odd_class_names(tmp_path):
    save_image(tmp_path / "a.png", 20, 20)
    corner = lambda i: [i % 20, i // 20, i % 20 + 1, i // 20, i % 20 + 1, i // 20 + 1, i % 20, i // 20 + 1]  # noqa: E731
    content = coco(*[annotation([corner(i)]) for i in range(400)], size=(20, 20))
    content["categories"] = [{"id": 3, "name": "#1: cat 1 2 3"}]
    save_json(tmp_path / "labels.json", content)
    dataset = imported(tmp_path / "labels.json", tmp_path / "out")[1]
    assert dataset.classes == ("background", "#1: cat 1 2 3")
    assert len(np.unique(dataset.load_instances(0))) == 400


def test_an_image_without_a_suffix(tmp_path):
    save_image(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a")
    save_json(tmp_path / "a.json", labelme("a", shape("dog", L_SHAPE)))
    with pytest.raises(UserError, match="a: its image has the suffix ''"):
        imported(tmp_path, tmp_path / "out")


def test_a_class_that_is_not_listed(tmp_path):
    save_json(tmp_path / "labels.json", coco())
    with pytest.raises(UserError, match="lacks the label 'cat'"):
        read_export(tmp_path, classes=("background", "dog"))


def test_a_labelme_file_finds_its_image_beside_it(tmp_path):
    """The path is that of the computer on which it was labelled."""
    save_image(tmp_path / "in" / "größe 1.png")
    content = labelme("C:\\Users\\Jürgen\\größe 1.png", shape("dog", L_SHAPE))
    save_json(tmp_path / "in" / "größe 1.json", content)
    report, found = imported(tmp_path / "in", tmp_path / "out")
    assert (report.written, report.problems, found.names) == (1, (), ("größe 1",))


def test_labels_of_points_are_no_classes(tmp_path):
    """An image with a point is left out, and its label does not become a class without pixels."""
    for name in "ab":
        save_image(tmp_path / "in" / f"{name}.png")
    save_json(tmp_path / "in" / "a.json", labelme("a.png", shape("dog", L_SHAPE)))
    save_json(tmp_path / "in" / "b.json", labelme("b.png", shape("dog", L_SHAPE), shape("eye", [[1, 1]], "point")))
    report, found = imported(tmp_path / "in", tmp_path / "out")
    assert found.classes == ("background", "dog")
    assert "b.json: shape 2 is of type 'point'" in report.problems[0]


def test_coco_images_in_another_folder(tmp_path):
    """``file_name`` has the folders of the computer that exported; with several images of one name it must be exact."""
    content = coco(annotation([[1, 1, 4, 1, 4, 4, 1, 4]]))
    content["images"][0]["file_name"] = "upload/1/a.png"
    save_json(tmp_path / "in" / "result.json", content)
    save_image(tmp_path / "photos" / "a.png")
    report, _ = imported(tmp_path / "in", tmp_path / "out", images=tmp_path / "photos")
    assert report.written == 1
    content["images"].append({"id": 8, "file_name": "upload/2/a.png", "height": 5, "width": 7})
    save_json(tmp_path / "in" / "result.json", content)
    with pytest.raises(UserError, match="no such image"):
        imported(tmp_path / "in", tmp_path / "out2", images=tmp_path / "photos")


def test_problems_name_their_image(tmp_path):
    for name, size in (("a", (5, 7)), ("b", (6, 7))):
        save_image(tmp_path / "in" / "images" / f"{name}.png")
        (tmp_path / "in" / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.eye(*size, dtype=np.uint8)).save(tmp_path / "in" / "masks" / f"{name}.png")
    report, _ = imported(tmp_path / "in", tmp_path / "out", classes=["ground", "line"])
    assert report.problems == ("b: a mask of 6×7 pixels for an image of 5×7 (height × width)",)
