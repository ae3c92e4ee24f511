"""Padding of training images to the size that a network takes."""

import numpy as np

from scratchnet.arrays import Array


def pad_to_stride(
    x: Array, masks: Array, stride: int, ignore_index: int | None, valid_margin: int = 0
) -> tuple[Array, Array]:
    """Pad images (n, h, w, c) and masks (n, h, w) to the next multiple of the stride.

    Images are continued by reflection; masks by the ignore label, or by reflection too without one. Images get a
    further ``valid_margin`` on every side, which the network's unpadded convolutions remove.
    """
    bottom, right = -x.shape[1] % stride, -x.shape[2] % stride
    if bottom or right:
        filler = {"mode": "symmetric"} if ignore_index is None else {"constant_values": ignore_index}
        masks = np.pad(masks, [(0, 0), (0, bottom), (0, right)], **filler)
    if bottom or right or valid_margin:
        rows, columns = (valid_margin, bottom + valid_margin), (valid_margin, right + valid_margin)
        x = np.pad(x, [(0, 0), rows, columns, (0, 0)], mode="symmetric")
    return x, masks
