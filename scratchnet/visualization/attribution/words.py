"""Sentences about an explanation, for the page and for the terminal."""

from collections.abc import Sequence

import numpy as np

from scratchnet.ops.geometry import Pair
from scratchnet.visualization.attribution.explanation import Explanation


def unknown_note(explanation: Explanation) -> list[str]:
    """Return a sentence about the steps that are not this package's, if there are any."""
    if not explanation.unknown:
        return []
    steps = ", ".join(explanation.unknown)
    return [
        f"Not layers of this package: {steps}. A ReLU inside is passed with its gradient, so the deconvnet projection "
        "and guided backpropagation are not exactly those of the papers."
    ]


def question(explanation: Explanation, class_names: Sequence[str]) -> str:
    """Return the question that the page answers."""
    name = class_names[explanation.wanted]
    if explanation.wanted == explanation.predicted:
        return f"Why is this pixel “{name}”?"
    return f"What speaks for “{name}” at this pixel, which the network labels “{class_names[explanation.predicted]}”?"


def facts(explanation: Explanation, class_names: Sequence[str], corner: Pair) -> str:
    """Return the pixel, its score and its probability in a sentence."""
    row, column = explanation.pixel[0] + corner[0], explanation.pixel[1] + corner[1]
    return (
        f"Row {row}, column {column}: the score of {class_names[explanation.wanted]} is {explanation.score:.2f}, its "
        f"probability {explanation.probability:.2f}."
    )


def how_computed(explanation: Explanation) -> str:
    """Return how the maps were computed."""
    grid = explanation.grid
    return (
        "The three projections start with a signal of 1 at the score and differ at the ReLUs alone; their values are "
        "summed over the three colours, for inputs as the network receives them. Occlusion shows at each pixel the "
        f"mean fall of the score over the positions of a patch of {grid.patch}×{grid.patch} pixels that cover it, "
        f"every {grid.stride} pixels: {len(grid.windows())} passes. The score is that of the class alone, before "
        "softmax; the probability also depends on the scores of the other classes. Each map has a scale of its own, "
        "which half a per cent of the pixels may exceed."
    )


def summary(explanation: Explanation, class_names: Sequence[str], corner: Pair) -> list[str]:
    """Return the lines for the terminal: the pixel, and where covering the image matters most."""
    falls, name = explanation.maps["occlusion"], class_names[explanation.wanted]
    row, column = (int(i) for i in np.unravel_index(int(falls.argmax()), falls.shape))
    patches = f"patches of {explanation.grid.patch}×{explanation.grid.patch} pixels"
    most = (
        f"It falls most, by {falls[row, column]:.2f} on average, under {patches} that cover row {row + corner[0]}, "
        f"column {column + corner[1]}."
    )
    none = f"On average, {patches} lower the score of {name} nowhere."
    return [facts(explanation, class_names, corner), most if falls[row, column] > 0 else none]
