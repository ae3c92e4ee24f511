"""Photographs of seeds, labelled as two labelling tools would export them."""

import json

import numpy as np

from scratchnet.data import write_image
from scratchnet.data.importing.polygons import fill_polygon

SIZE = 64, 80


def photograph(seed, height=SIZE[0], width=SIZE[1]):
    """A picture of three wheat grains and a piece of chaff; and their polygons, a list of (label, corners (n, 2))."""
    rng = np.random.default_rng([seed, height, width])
    image = np.full((height, width, 3), (70, 90, 80.0)) + rng.normal(0, 6, (height, width, 3))
    shapes = []
    places = rng.permutation([(0, 0), (0, 1), (1, 0), (1, 1)])
    for number, (row, column) in enumerate(places):
        label = "chaff" if number == 3 else "wheat"
        centre = np.array([(column + 0.5) * width / 2, (row + 0.5) * height / 2]) + rng.uniform(-3, 3, 2)
        radii = np.array([11, 7]) * rng.uniform(0.8, 1.2) if label == "wheat" else np.array([5, 5])
        turn, angles = rng.uniform(0, np.pi), np.linspace(0, 2 * np.pi, 16, endpoint=False)
        x, y = radii[0] * np.cos(angles), radii[1] * np.sin(angles)
        corners = centre + np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)
        corners = np.clip(corners.round(2), 0, (width, height))
        window, inside = fill_polygon([corners], height, width)
        colour = (220, 180, 90) if label == "wheat" else (170, 60, 60)
        image[window.slices][inside] = colour + rng.normal(0, 8, (inside.sum(), 3))
        shapes.append((label, corners))
    return np.clip(image, 0, 255).astype(np.uint8), shapes


def write_labelme(folder, count):
    """Photographs ``seed 1.png`` … with labelme's JSON files next to them."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(1, count + 1):
        image, shapes = photograph(seed)
        write_image(folder / f"seed {seed}.png", image)
        content = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [
                {"label": label, "points": corners.tolist(), "group_id": None, "shape_type": "polygon", "flags": {}}
                for label, corners in shapes
            ],
            "imagePath": f"seed {seed}.png",
            "imageData": None,
            "imageHeight": image.shape[0],
            "imageWidth": image.shape[1],
        }
        (folder / f"seed {seed}.json").write_text(json.dumps(content), encoding="utf-8")


def write_coco(folder, count):
    """Photographs in ``images/`` and one COCO file with their polygons."""
    pictures, annotations = [], []
    for seed in range(1, count + 1):
        image, shapes = photograph(seed)
        write_image(folder / "images" / f"seed {seed}.png", image)
        h, w = image.shape[:2]
        pictures.append({"id": seed, "file_name": f"seed {seed}.png", "height": h, "width": w})
        for label, corners in shapes:
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": seed,
                    "category_id": 1 if label == "wheat" else 2,
                    "segmentation": [corners.ravel().tolist()],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    content = {
        "images": pictures,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "wheat"}, {"id": 2, "name": "chaff"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
