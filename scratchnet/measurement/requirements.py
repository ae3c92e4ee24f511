"""The optional library for measurements."""

from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller


def check_scikit_image() -> None:
    """Raise a UserError if scikit-image, which brings SciPy, is not installed."""
    try:
        import skimage.measure  # noqa: F401
    except ImportError as error:
        what = for_caller("measuring and splitting objects", "scratchnet.measurement")
        raise UserError(
            f"{what} needs scikit-image, which is not installed; pip install scikit-image "
            '(in the clone: pip install -e ".[measure]")'
        ) from error
