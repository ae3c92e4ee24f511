"""Reading TIFFs that Pillow does not support, with the package tifffile (extra ``tiff``)."""

import importlib.util
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError

TIFFFILE_HINT = 'tifffile (pip install -e ".[tiff]" in the clone)'

MAX_SAMPLES = 2**30
"""Maximum number of samples that are read; the header of a small file may state any number."""


def tifffile_is_installed() -> bool:
    """Return whether tifffile is installed, which `read_tiff_samples` needs."""
    return importlib.util.find_spec("tifffile") is not None


def read_tiff_samples(path: Path | str) -> tuple[Array, bool]:
    """Read the stored samples of a TIFF with one image.

    Returns
    -------
    samples : (h, w) or (h, w, channels)
        Upright, in the file's data type.
    white_is_zero : bool
        Whether 0 is white.

    Raises
    ------
    UserError
        When tifffile is not installed, or cannot read the file either.
    """
    try:
        import tifffile
    except ImportError as error:
        raise UserError(f"{path}: a kind of TIFF that needs {TIFFFILE_HINT}, or convert it to PNG") from error
    try:
        with tifffile.TiffFile(path) as file:
            pages, page = len(file.pages), file.pages[0]
            if page.size > MAX_SAMPLES:
                raise UserError(f"{path}: too large to open at once ({page.size} samples); cut it into parts first")
            samples: Array = page.asarray()
            tags = {code: page.tags[code].value for code in (262, 274, 284) if code in page.tags}
    except (MemoryError, UserError):
        raise
    except Exception as error:  # like Pillow's decoders, all kinds of errors on damaged input
        raise UserError(f"{path}: tifffile cannot read it either ({' '.join(str(error).split())[:100]})") from error
    if pages > 1:
        raise UserError(f"{path}: holds {pages} images, expected one; save each as a file of its own")
    if samples.ndim == 3 and tags.get(284) == 2:  # separate planes
        samples = np.moveaxis(samples, 0, -1)
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[:, :, 0]
    if samples.ndim not in {2, 3} or samples.dtype.kind not in "uif":
        raise UserError(f"{path}: a TIFF of {samples.dtype} samples in {samples.ndim} axes; convert it to PNG")
    return upright(samples, int(tags.get(274, 1))), int(tags.get(262, 1)) == 0


def upright(samples: Array, orientation: int) -> Array:
    """Rotate or flip an array (h, w, …) upright, given a TIFF orientation of 1 to 8."""
    upright_axes: Array = samples.swapaxes(0, 1) if orientation >= 5 else samples
    rows = -1 if orientation in {3, 4, 7, 8} else 1
    columns = -1 if orientation in {2, 3, 6, 7} else 1
    return np.ascontiguousarray(upright_axes[::rows, ::columns])
