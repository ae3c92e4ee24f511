"""Exercises of lesson 18: a split by groups, augmentation of pairs, and early stopping."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake
from scratchnet.exercises.lesson_18_worst_images import EXERCISES as WORST_IMAGES


def split_by_group(groups: list[str], fraction: float) -> tuple[Array, Array]:
    """Return the indices of the training and of the validation images, both in ascending order.

    groups has the group of each image, such as its patient. A group is never divided. Go through the groups in the
    order in which they first occur, and add whole groups to the validation set until it has at least fraction · n of
    the n images. All other images are for training.
    """
    wanted, chosen, count = fraction * len(groups), set(), 0
    for group in dict.fromkeys(groups):
        if count >= wanted:
            break
        chosen.add(group)
        count += groups.count(group)
    inside = np.array([group in chosen for group in groups], bool)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def augment_pair(
    image: Array, mask: Array, top: int, left: int, size: tuple[int, int], flip: bool, brightness: float
) -> tuple[Array, Array]:
    """Return an image (h, w, 3), uint8, and its mask (h, w), uint8, cropped, flipped and made brighter.

    Crop size (height, width) with its top left pixel at (top, left). Then, if flip is true, flip left to right. Then
    multiply the image by brightness, round to the nearest integer, limit it to 0…255 and convert it to uint8. The
    labels in the mask keep their values.
    """
    window = np.s_[top : top + size[0], left : left + size[1]]
    image, mask = image[window], mask[window]
    if flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return np.clip(np.rint(image * brightness), 0, 255).astype(np.uint8), mask


def early_stopping(scores: list[float], patience: int) -> tuple[int, int]:
    """Return the epoch whose parameters are kept and the epoch after which training stops; the first epoch is 0.

    scores are the validation scores of the epochs, larger is better. An epoch is the new best only if its score is
    larger than all before it; an equal score is no improvement. Training stops after patience epochs in a row without
    a new best, or after the last epoch. Scores after the stop are never seen.
    """
    best = 0
    for epoch, score in enumerate(scores):
        if score > scores[best]:
            best = epoch
        if epoch - best == patience:
            return best, epoch
    return best, len(scores) - 1


def _split_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = ["ann", "bob", "ann", "cleo", "bob", "ann"]
    yield Case("split_by_group", (hand, 0.25), "the case by hand, three patients")
    yield Case("split_by_group", (hand, 0.5), "a set that is exactly full after one group")
    names = [f"p{number}" for number in rng.permutation(9)]
    groups = [names[i] for i in rng.permutation(np.repeat(np.arange(9), [1, 2, 3, 4, 5, 2, 3, 4, 1]))]
    yield Case("split_by_group", (groups, 0.3), "nine groups of different sizes, mixed")
    yield Case("split_by_group", (groups, 0.7), "a large validation set")
    yield Case("split_by_group", (["only"] + ["other"] * 4, 0.2), "a group of one image")


def _augment_cases(rng: np.random.Generator) -> Iterator[Case]:
    image = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7
    mask = np.array([[0, 0, 1, 2], [0, 1, 1, 2], [3, 3, 0, 2]], np.uint8)
    yield Case("augment_pair", (image, mask, 1, 1, (2, 3), True, 1.5), "the case by hand, 3×4 pixels")
    image = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    mask = rng.integers(0, 5, (9, 12), dtype=np.uint8)
    yield Case("augment_pair", (image, mask, 2, 1, (5, 8), True, 1.0), "a flip without a change of brightness")
    yield Case("augment_pair", (image, mask, 3, 4, (4, 6), False, 1.0), "a crop alone")
    yield Case("augment_pair", (image, mask, 1, 3, (6, 7), True, 1.7), "an image that becomes brighter")
    yield Case("augment_pair", (image, mask, 0, 5, (8, 5), False, 0.4), "an image that becomes darker")


def _stopping_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("early_stopping", ([0.2, 0.5, 0.4, 0.6, 0.5, 0.4, 0.9], 2), "the case by hand")
    yield Case("early_stopping", ([0.3, 0.5, 0.5, 0.5, 0.7], 2), "equal scores")
    yield Case("early_stopping", ([0.5, 0.4, 0.3, 0.45, 0.2], 3), "a first epoch that is the best")
    yield Case("early_stopping", ([0.1, 0.6, 0.5, 0.7, 0.6, 0.8], 1), "a patience of 1")
    rising = np.sort(rng.random(8)).tolist()
    yield Case("early_stopping", (rising, 3), "scores that rise to the end")
    noisy = [0.1, 0.4, 0.3, 0.35, 0.5, 0.45, 0.44, 0.49, 0.48, 0.9]
    yield Case("early_stopping", ((np.array(noisy) * rng.uniform(0.9, 1)).tolist(), 3), "noisy scores")


def _single_images(groups: list[str], fraction: float) -> tuple[Array, Array]:
    count = int(np.ceil(fraction * len(groups)))
    return np.arange(count, len(groups)), np.arange(count)


def _sorted_groups(groups: list[str], fraction: float) -> tuple[Array, Array]:
    wanted, chosen, count = fraction * len(groups), set(), 0
    for group in sorted(set(groups), reverse=True):
        if count < wanted:
            chosen.add(group)
            count += groups.count(group)
    inside = np.array([group in chosen for group in groups], bool)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _share_of_groups(groups: list[str], fraction: float) -> tuple[Array, Array]:
    names = list(dict.fromkeys(groups))
    chosen = names[: int(np.ceil(fraction * len(names)))]
    inside = np.array([group in chosen for group in groups], bool)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _one_group_more(groups: list[str], fraction: float) -> tuple[Array, Array]:
    wanted, chosen, count = fraction * len(groups), set(), 0
    for group in dict.fromkeys(groups):
        chosen.add(group)
        count += groups.count(group)
        if count > wanted:
            break
    inside = np.array([group in chosen for group in groups], bool)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def _augmented(
    flip_mask: bool = True, upright: bool = False, corner: bool = True, limit: bool = True, labels: bool = False
) -> Callable[..., tuple[Array, Array]]:
    """Return ``augment_pair`` with a mistake."""

    def wrong(
        image: Array, mask: Array, top: int, left: int, size: tuple[int, int], flip: bool, brightness: float
    ) -> tuple[Array, Array]:
        window = np.s_[top : top + size[0], left : left + size[1]]
        image, mask = image[window], mask[window] if corner else mask[: size[0], : size[1]]
        turn = np.s_[::-1] if upright else np.s_[:, ::-1]
        if flip:
            image, mask = image[turn], mask[turn] if flip_mask else mask
        bright = np.rint(image * brightness)
        result = (np.clip(bright, 0, 255) if limit else bright % 256).astype(np.uint8)
        return result, np.clip(np.rint(mask * brightness), 0, 255).astype(np.uint8) if labels else mask

    return wrong


def _never_forgiving(scores: list[float], patience: int) -> tuple[int, int]:
    best, falls = 0, 0
    for epoch, score in enumerate(scores):
        falls = falls + 1 if epoch and score < scores[epoch - 1] else 0
        best = epoch if score > scores[best] else best
        if falls == patience:
            return best, epoch
    return best, len(scores) - 1


def _last_kept(scores: list[float], patience: int) -> tuple[int, int]:
    _, stop = early_stopping(scores, patience)
    return stop, stop


def _equal_is_better(scores: list[float], patience: int) -> tuple[int, int]:
    best = 0
    for epoch, score in enumerate(scores):
        best = epoch if score >= scores[best] else best
        if epoch - best == patience:
            return best, epoch
    return best, len(scores) - 1


def _whole_curve(scores: list[float], patience: int) -> tuple[int, int]:
    return int(np.argmax(scores)), early_stopping(scores, patience)[1]


EXERCISES = (
    Exercise(
        "18_split_by_group",
        "A split without leakage",
        "Divide images into a training and a validation set so that images of one patient are never in both.",
        (split_by_group,),
        _split_cases,
        (
            Mistake(
                "Yours divides a group; all images of a patient belong to the same set.",
                {"split_by_group": _single_images},
            ),
            Mistake(
                "Yours takes a fraction of the groups; the set is full when it has fraction · n of the *images*.",
                {"split_by_group": _share_of_groups},
            ),
            Mistake(
                "Yours goes on when the set is exactly full; it is full at fraction · n images, not beyond.",
                {"split_by_group": _one_group_more},
            ),
            Mistake(
                "Your groups come in another order; take them in the order in which they first occur.",
                {"split_by_group": _sorted_groups},
            ),
        ),
        (
            "Count the images of a group before you add it: groups.count(group).",
            "dict.fromkeys(groups) has every group once, in the order in which they first occur.",
        ),
        results={"split_by_group": ("training", "validation")},
    ),
    Exercise(
        "18_augment_pair",
        "Augmentation of an image and its mask",
        "Crop, flip and brighten an image, and change its mask so that every label stays with its pixel.",
        (augment_pair,),
        _augment_cases,
        (
            Mistake(
                "Yours flips the image but not the mask; every label must stay with its pixel.",
                {"augment_pair": _augmented(flip_mask=False)},
            ),
            Mistake(
                "Yours flips top to bottom; left to right reverses the columns, which are the second axis.",
                {"augment_pair": _augmented(upright=True)},
            ),
            Mistake(
                "Your mask is cropped at another place; image and mask are cropped at the same top and left.",
                {"augment_pair": _augmented(corner=False)},
            ),
            Mistake(
                "Your bright pixels wrap around at 256 and become dark; limit them to 255 before converting to uint8.",
                {"augment_pair": _augmented(limit=False)},
            ),
            Mistake(
                "Yours multiplies the labels by the brightness; only colours change, classes do not.",
                {"augment_pair": _augmented(labels=True)},
            ),
        ),
        (
            "The same slices crop image and mask: the channels are the third axis of the image only.",
            "np.clip(np.rint(image * brightness), 0, 255).astype(np.uint8) rounds, limits and converts.",
        ),
        results={"augment_pair": ("image", "mask")},
    ),
    Exercise(
        "18_early_stopping",
        "Early stopping",
        "Find the epoch whose parameters are kept, and the epoch after which training stops.",
        (early_stopping,),
        _stopping_cases,
        (
            Mistake(
                "Yours counts epochs in which the score fell; count those since the best, whether it fell or rose.",
                {"early_stopping": _never_forgiving},
            ),
            Mistake(
                "Yours keeps the last parameters; those of the best epoch are kept.",
                {"early_stopping": _last_kept},
            ),
            Mistake(
                "Yours takes an equal score for an improvement; a new best is larger than all before.",
                {"early_stopping": _equal_is_better},
            ),
            Mistake(
                "Yours finds the best epoch in the whole list; scores after the stop are never seen.",
                {"early_stopping": _whole_curve},
            ),
        ),
        (
            "Store the index of the best epoch so far.",
            "epoch − best is the number of epochs without a new best.",
        ),
        results={"early_stopping": ("kept epoch", "last epoch")},
    ),
    *WORST_IMAGES,
)
