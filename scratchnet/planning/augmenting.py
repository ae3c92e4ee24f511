"""Random changes of the training images that leave the meaning of their masks alone."""

from scratchnet.planning.draft import Draft

STRENGTHS = {"brightness": 0.25, "contrast": 0.25, "saturation": 0.6, "hue": 0.1}
RANDOM_COLOURS, FEW_IMAGES = 0.5, 100
"""Share of samples in random colours, for sets with fewer images than the second: the other samples keep their colours,
which may tell classes apart."""
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
    if len(data.sizes) < FEW_IMAGES:
        draft.choose("random_colours", RANDOM_COLOURS, "few images show only some of the colours that objects may have")
    if draft.free("normalization", "init_weights") and data.uneven > UNEVEN:
        draft.choose("normalization", "image", "some images are far brighter than others")
