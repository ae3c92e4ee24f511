"""Batches of images of any size: whole images, random crops, tiles, or resized images."""

from collections.abc import Sequence
from math import log2

import numpy as np

from scratchnet.models import MODELS, build
from scratchnet.ops.geometry import Pair
from scratchnet.planning.draft import Draft

MAX_CROP, MIN_CROP = 128, 32
"""Sides of square crops, in pixels."""
MAX_WHOLE = 144 * 144
"""Images of one size with at most this many pixels are not cropped."""
LARGE, RESIZED = 1024, 576
"""Images with a longer side than the first are resized, so that it has about the second."""
MIN_OBJECT = 8
"""Typical objects keep at least this side, in pixels, when images are resized."""
TILE = 512
"""Side of the tiles of large images that cannot be resized."""
BATCH, BATCH_PIXELS = 8, 4 * 128 * 128
"""Largest batch, and number of pixels above which it is smaller."""


def choose_sizes(draft: Draft) -> None:
    """Choose resize, tile, crop, the batch size and, for small images, the depth of a U-Net."""
    sizes = _resized(draft)
    _choose_crop(draft, sizes)
    settings = draft.settings
    crop = settings.augmentation.crop
    h, w = crop or max(sizes, key=lambda size: size[0] * size[1])
    batch = max(1, min(BATCH, BATCH_PIXELS // (h * w)))
    mixed = crop is None and len(set(sizes)) > 1
    draft.choose("batch_size", 1 if mixed else max(batch, 2), _batch_reason(mixed, h, w))
    smallest = min(crop) if crop else min(min(size) for size in sizes)
    if "depth" in MODELS[settings.model.model].options():
        depth = max(1, int(log2(max(2, smallest))) - 2)
        if depth < 4:
            draft.choose("depth", depth, f"{smallest} pixels can be halved {depth} times")


def _resized(draft: Draft) -> Sequence[Pair]:
    """Choose ``resize`` for large photographs; return the sizes of the images or tiles that training receives."""
    data = draft.settings.data
    sizes: Sequence[Pair] = draft.data.sizes
    long = float(np.median([max(size) for size in sizes]))
    if draft.free("resize", "tile", "crop") and long > LARGE:
        sides = [side for side in draft.data.object_sides[1:] if side]
        factor = max(RESIZED / long, min(1.0, MIN_OBJECT / min(sides)) if sides else 0.0)
        if factor * long <= LARGE:
            h, w = (max(16, round(float(np.median(side)) * factor / 16) * 16) for side in zip(*sizes, strict=True))
            draft.choose("resize", (h, w), f"images of about {long:.0f} pixels; masks are returned in full size")
        else:
            draft.choose("tile", TILE, f"images of about {long:.0f} pixels with objects too small for resizing")
    data = draft.settings.data
    if data.resize is not None:
        sizes = [data.resize]
    if data.tile is not None:
        sizes = [(min(h, data.tile), min(w, data.tile)) for h, w in sizes]
    return sizes


def _choose_crop(draft: Draft, sizes: Sequence[Pair]) -> None:
    """Choose ``crop``, unless all images are small and of one size or batches hold one image."""
    settings = draft.settings
    network = build(settings.model.model, max(2, len(draft.data.classes)), **settings.model.options())
    one_size, (h, w) = len(set(sizes)) == 1, sizes[0]
    if network.fixed_size is not None:
        if not one_size or (h, w) != network.fixed_size:
            draft.choose("crop", network.fixed_size, f"{settings.model.model} takes images of this size only")
        return
    if one_size and h * w <= MAX_WHOLE and min(h, w) >= network.stride:
        return
    if not draft.free("tile") and one_size:
        return
    if not draft.free("batch_size") and settings.training.batch_size == 1 and min(map(min, sizes)) >= network.stride:
        return
    short = float(np.quantile([min(size) for size in sizes], 0.25))
    step = max(16, network.stride)
    side = max(min(int(short // 16) * 16, MAX_CROP), MIN_CROP)
    side = -(-side // step) * step
    lowest, highest = min(min(size) for size in sizes), max(max(size) for size in sizes)
    reason = (
        f"images of {h}×{w}" if one_size else f"images have sides from {lowest} to {highest}, a batch needs one size"
    )
    draft.choose("crop", (side, side), reason)


def _batch_reason(mixed: bool, h: int, w: int) -> str:
    return "images of different sizes cannot share a batch" if mixed else f"fits {h}×{w} pixels"
