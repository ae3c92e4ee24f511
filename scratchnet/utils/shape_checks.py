"""Checks of images and masks at the public functions: one clear ValueError for a wrong shape or type."""

from typing import Any

_RGB = {1: "grey", 2: "grey with transparency", 4: "RGBA or CMYK"}


def check_image(where: str, image: Any) -> None:
    """Raise a ValueError unless ``image`` is (h, w, 3) uint8; ``where`` names the function."""
    _check(where, "an image", image, ("h", "w", 3), "u")


def check_images(where: str, images: Any) -> None:
    """Raise a ValueError unless ``images`` is (n, h, w, 3) uint8."""
    _check(where, "images", images, ("n", "h", "w", 3), "u")


def check_mask(where: str, mask: Any, name: str = "a mask") -> None:
    """Raise a ValueError unless ``mask`` is (h, w) of integers or bool."""
    _check(where, name, mask, ("h", "w"), "uib")


def check_masks(where: str, truth: Any, prediction: Any) -> None:
    """Raise a ValueError unless both are masks (h, w) of the same size."""
    check_mask(where, truth, "the truth")
    check_mask(where, prediction, "the prediction")
    if truth.shape != prediction.shape:
        raise ValueError(f"{where}: truth has shape {truth.shape} but prediction {prediction.shape}")


def check_pair(where: str, image: Any, mask: Any) -> None:
    """Raise a ValueError unless the arguments are an image (h, w, 3) uint8 and a mask (h, w) of the same size."""
    check_image(where, image)
    check_mask(where, mask)
    if image.shape[:2] != mask.shape:
        raise ValueError(f"{where}: the image has shape {image.shape}, the mask {mask.shape}: expected the same size")


def check_maps(where: str, maps: Any, size: tuple[int, int] | None = None) -> None:
    """Raise a ValueError unless ``maps`` is (h, w, classes) of floats, of size ``size`` if that is given."""
    _check(where, "probabilities", maps, ("h", "w", "classes"), "f")
    if size is not None and maps.shape[:2] != size:
        raise ValueError(f"{where}: the image has {size[0]} rows and {size[1]} columns, the probabilities {maps.shape}")


def _check(where: str, name: str, array: Any, form: tuple[str | int, ...], kinds: str) -> None:
    """Compare an array with the expected shape ``form``; letters match any length, for images at least 1."""
    words = f"({', '.join(map(str, form))})"
    kind = {"u": "uint8", "uib": "integers", "f": "floating point"}[kinds]
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise ValueError(f"{where}: expected {name} {words} as an array, got {type(array).__name__}")
    shape, dtype = array.shape, array.dtype
    fits = len(shape) == len(form) and all(
        n == f if isinstance(f, int) else n > 0 or f == "n" or form[-1] != 3 for n, f in zip(shape, form, strict=True)
    )
    typed = dtype.kind in kinds and (kinds != "u" or dtype.itemsize == 1)
    if fits and typed:
        return
    advice = ""
    if form[-1] == 3:
        channels = 1 if len(shape) == len(form) - 1 else shape[-1] if len(shape) == len(form) else 0
        if channels in _RGB:
            advice = f"; convert it to RGB, it looks {_RGB[channels]} (read_image does that for files)"
        elif len(shape) == len(form) and not typed:
            advice = "; bring its values to 0 to 255 and use astype(numpy.uint8)"
    raise ValueError(f"{where}: expected {name} {words} of {kind}, got {shape} of {dtype}{advice}")
