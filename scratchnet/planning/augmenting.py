"""Random changes of the training images that leave the meaning of their masks alone."""

from scratchnet.planning.draft import Draft

STRENGTHS = {"brightness": 0.25, "contrast": 0.25, "saturation": 0.6, "hue": 0.1}
UNEVEN = 0.6
"""Brightness that differs more than this between images is evened out in each image."""


def choose_augmentation(draft: Draft) -> None:
    """Choose flips, rotations, scale, deformation, colours, and how pixels are normalised."""
    data, crop = draft.data, draft.settings.augmentation.crop
    if not data.sided:
        draft.choose("flip_horizontal", True, "no class or light keeps to the left or right")
    if not data.upright and not data.sided:
        reason = "no class or light keeps to the top or bottom"
        draft.choose("flip_vertical", True, reason)
        draft.choose("rotate90", True, reason)
        side = min(crop) if crop else min(min(size) for size in data.sizes)
        if side >= 64:
            draft.choose("elastic", round(side / 64, 1), "slight deformations, for few images")
    draft.choose("scale", (0.8, 1.25), "objects differ in size")
    for name, strength in STRENGTHS.items():
        draft.choose(name, strength, "light and colours differ between photographs")
    if draft.free("normalization", "init_weights") and data.uneven > UNEVEN:
        draft.choose("normalization", "image", "some images are far brighter than others")
