"""Batches of images of any size: whole images, random crops, tiles, or resized images."""

from collections.abc import Sequence
from math import log2

import numpy as np

from scratchnet.models import MODELS, build
from scratchnet.ops.geometry import Pair
from scratchnet.planning.draft import Draft

MAX_CROP, MIN_CROP = 128, 32
"""Sides of square crops, in pixels."""
MIN_WHOLE, MAX_WHOLE = 16, 144 * 144
"""Images of one size are not cropped if their sides have at least, and their areas at most, as many pixels."""
LARGE, RESIZED, MIN_RESIZED = 1024, 576, 240
"""Images with a longer side than the first are resized to at most the second; none below the third."""
MIN_OBJECT, MAX_OBJECT = 8, 80
"""Sides in pixels that typical small objects keep, and that large ones are reduced to, when images are resized."""
WORTH = 0.75
"""Images are resized only by a factor up to this."""
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
    """Choose ``resize`` for large images or objects; return the sizes of the images or tiles that training receives."""
    sizes: Sequence[Pair] = draft.data.sizes
    long = float(np.median([max(size) for size in sizes]))
    if draft.free("resize", "tile", "crop"):
        factor = _factor(long, [side for side in draft.data.object_sides[1:] if side])
        if factor * long > LARGE:
            draft.choose("tile", TILE, f"images of about {long:.0f} pixels with objects too small for resizing")
        elif factor <= WORTH:
            h, w = (max(16, round(float(np.median(side)) * factor / 16) * 16) for side in zip(*sizes, strict=True))
            draft.choose("resize", (h, w), _resize_reason(long))
    data = draft.settings.data
    if data.resize is not None:
        sizes = [data.resize]
    if data.tile is not None:
        sizes = [(min(h, data.tile), min(w, data.tile)) for h, w in sizes]
    return sizes


def _factor(long: float, sides: Sequence[float]) -> float:
    """Return the factor by which images with this long side and objects of these sides may be resized."""
    wanted = min(1.0, RESIZED / long)
    if sides:
        wanted = min(wanted, max(MAX_OBJECT / max(sides), MIN_RESIZED / long))
        wanted = max(wanted, MIN_OBJECT / min(sides))
    return min(1.0, wanted)


def _resize_reason(long: float) -> str:
    what = f"images of about {long:.0f} pixels" if long > LARGE else "objects are large"
    return f"{what}; masks are returned in full size"


def _choose_crop(draft: Draft, sizes: Sequence[Pair]) -> None:
    """Choose ``crop``, unless all images are small and of one size or batches hold one image."""
    settings = draft.settings
    network = build(settings.model.model, max(2, len(draft.data.classes)), **settings.model.options())
    one_size, (h, w) = len(set(sizes)) == 1, sizes[0]
    large_enough = min(map(min, sizes)) >= max(network.stride, MIN_WHOLE)
    if network.fixed_size is not None:
        if not one_size or (h, w) != network.fixed_size:
            draft.choose("crop", network.fixed_size, f"{settings.model.model} takes images of this size only")
        return
    if one_size and large_enough and (h * w <= MAX_WHOLE or not draft.free("tile")):
        return
    if not draft.free("batch_size") and settings.training.batch_size == 1 and large_enough:
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
