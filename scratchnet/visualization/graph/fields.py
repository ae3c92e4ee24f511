"""Receptive fields on the image: the theoretical one as a rectangle, the effective one from gradients.

The rectangle follows from the list of layers alone. Its pixels differ in influence: many paths through the layers lead
to the centre and few to the edge, so the influence decays like a Gaussian (Luo, Li, Urtasun, Zemel 2016, "Understanding
the effective receptive field"). The gradient of one value with respect to the image gives the influence of each pixel.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Outline

from scratchnet.arrays import Array
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.graph.connectivity import pixel_grids
from scratchnet.visualization.graph.receptive_field import Rectangle, receptive_fields
from scratchnet.visualization.style import INK, MUTED, ROLES, panels

SHADES = LinearSegmentedColormap.from_list("gradient", ["white", ROLES["gradient"], "#220011"])


def effective_field(network: Network, images: Array, name: str, pixel: Pair) -> Array:
    """Return the influence of every image pixel on one pixel of a layer.

    If the layer has several channels, each gets a random weight, so that none is preferred and they do not cancel;
    the result is the root of the mean square over images and colours, divided by its maximum.

    Parameters
    ----------
    network : Network
        Allocated, in evaluation mode; its gradients are unchanged.
    images : (n, h, w, channels)
        Preprocessed images.
    name : str
        Name of a step.
    pixel : (row, column)
        Pixel of that step's map.

    Returns
    -------
    (h, w), 0 to 1

    Raises
    ------
    ValueError
        If the step or pixel does not exist.
    """
    grads, first = network.flat().grads, _first_layers(network, name)
    before = grads.copy()
    value = first.forward(images, keep=True)
    h, w = value.shape[1:3]
    if not (0 <= pixel[0] < h and 0 <= pixel[1] < w):
        raise ValueError(f"effective_field: '{name}' has {h}×{w} pixels; {pixel} does not exist")
    dy = np.zeros_like(value)
    dy[:, pixel[0], pixel[1]] = np.random.default_rng(0).standard_normal((len(images), value.shape[3]))
    dx = first.backward(dy, needs_input_grad=True)
    grads[...] = before
    if dx is None:
        raise RuntimeError("effective_field: the network returned no gradient with respect to the image")
    field: Array = np.sqrt((dx.astype(np.float64) ** 2).mean(axis=(0, 3)))
    return field / (field.max() or 1.0)


def _first_layers(network: Network, name: str) -> Network:
    """Return a network of the same layers, up to the named one."""
    names = [step.name for step in network.steps]
    if name not in names:
        raise ValueError(f"effective_field: the network has no step '{name}'")
    first = Network(network.channels)
    first.steps, first.buffers = network.steps[: names.index(name) + 1], network.buffers
    return first


def nearest_pixel(network: Network, size: Pair, name: str, at: Pair) -> Pair:
    """Return the pixel of a layer whose centre is nearest to the image's pixel ``at`` (row, column)."""
    shape = network.shapes(size)[name]
    row, column = (
        min(max(round((want - middle.start) / middle.jump), 0), length - 1)
        for want, middle, length in zip(at, pixel_grids(network, size)[name], shape[1:3], strict=True)
    )
    return row, column


def draw_field(axes: Axes, field: Rectangle, label: str = "") -> None:
    """Draw a rectangle of pixels, dark with a white outline, on an image drawn by ``axes.imshow``."""
    top, left, bottom, right = field
    for edge, width in (("white", 3.2), (INK, 1.6)):
        corner, wide, high = (left - 0.5, top - 0.5), right - left, bottom - top
        axes.add_patch(Outline(corner, wide, high, fill=False, edgecolor=edge, linewidth=width))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
    side = "top" if top < 4 else "bottom"  # inside the rectangle if there is no space above it
    axes.text(left, top, label, fontsize=7, color=INK, va=side, bbox=box if label else None, parse_math=False)


def field_figure(network: Network, image: Array, images: Array, names: Sequence[str], at: Pair) -> Figure:
    """Draw the receptive fields of one pixel in each of several layers, at the same image position.

    The first panel shows the image with all receptive fields, except those that cover the whole image. The others show
    the effective receptive field of each layer, dark where the influence is large, in its rectangle.

    Parameters
    ----------
    network : Network
        Allocated, in evaluation mode.
    image : (h, w, 3) uint8
        Image to show.
    images : (n, h, w, channels)
        Preprocessed images for the gradients; several give smoother fields.
    names : sequence of str
        Names of steps.
    at : (row, column)
        Position in the image.
    """
    size: Pair = (image.shape[0], image.shape[1])
    count = len(names) + 1
    figure, (whole, *others) = panels(2.3 * count, 2.7, columns=count)
    whole.imshow(image)
    whole.set_title("image", fontsize=9, color=INK)
    for axes, name in zip(others, names, strict=True):
        pixel = nearest_pixel(network, size, name, at)
        field = receptive_fields(network, size, name, pixel)["input"]
        if field != (0, 0, *size):
            draw_field(whole, field, name)
        # the square root makes the faint outer parts visible
        axes.imshow(np.sqrt(effective_field(network, images, name, pixel)), cmap=SHADES, vmin=0, vmax=1)
        draw_field(axes, field)
        high, wide = field.bottom - field.top, field.right - field.left
        axes.set_title(f"{name}\nsees {high}×{wide}", fontsize=9, color=INK, parse_math=False)
    for axes in (whole, *others):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(MUTED)
    return figure
