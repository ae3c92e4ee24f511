"""Random changes of stain and light, in the space where stains add up.

Stains absorb light. By the law of Beer and Lambert the intensity of colour c is I_c = W_c · exp(−Σ_s d_s · S_sc), with
amounts d of stains s, their absorbances S and the intensity W of the empty glass. The optical density
−log(I / W) = d · S is linear in the amounts, so that the stains of a colour image can be separated by solving a linear
system: *colour deconvolution* (Ruifrok and Johnston 2001), the third meaning of the word in this field.

Another laboratory has other amounts (thicker slices, longer staining), other absorbances (another dye, or an older one)
and another light. Amounts d · a and absorbances T map the density x = d · S to x · S⁻¹ · diag(a) · T, which is a 3×3
matrix whatever the stains are. Instead of estimating the stains of every image and changing their amounts (Tellez et
al. 2018), `vary_stain` therefore multiplies densities by a random matrix near the identity. Another light adds a
constant per colour, and another exposure the same constant to all of them.
"""

import numpy as np

from scratchnet.arrays import Array

COLOUR = 0.7
"""Strength of the change of the light's colour, as a fraction of the strength of the change of the stains."""
EXPOSURE = (-0.5, 2.0)
"""The same for the range of the change of the exposure. Photographs of smears are taken with the empty glass nearly
white, so another exposure is darker more often than brighter."""

_DENSITY = -np.log((np.arange(256) + 1) / 256).astype(np.float32)
"""Optical density of every byte; 255 has 0."""


def vary_stain(image: Array, rng: np.random.Generator, strength: float, light: float | None = None) -> Array:
    """Change the stains and the light of an image at random.

    Parameters
    ----------
    image : (h, w, 3) uint8
    rng : numpy Generator
        The only source of randomness; it draws 13 values.
    strength : float
        Largest change of an entry of the matrix between optical densities, which is the identity for 0.
    light : float or None
        The light changes by a factor of exp(−`EXPOSURE` · light), and a colour of it by exp(±`COLOUR` · light) at
        most; None: as strong as ``strength``.

    Returns
    -------
    (h, w, 3) uint8
    """
    matrix = np.eye(3) + strength * rng.uniform(-1, 1, (3, 3))
    lamp = (strength if light is None else light) * (COLOUR * rng.uniform(-1, 1, 3) + rng.uniform(*EXPOSURE))
    density = _DENSITY[image] @ matrix.astype(np.float32) + lamp.astype(np.float32)
    intensity = np.float32(256) * np.exp(-density) - 1
    varied: Array = np.clip(np.rint(intensity), 0, 255).astype(np.uint8)
    return varied
