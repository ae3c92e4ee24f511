"""Arrays for the differential tests: every kind of value, in every layout in memory, from a few words and a seed."""

import hashlib

import numpy as np
from hypothesis import strategies as st

FINITE = ("normal", "zeros", "constant", "ties", "negative zeros", "mixed sizes", "huge", "tiny")
NON_FINITE = ("infinities", "minus infinity", "nan", "all minus infinity")

LAYOUTS = (
    "plain", "read-only", "fortran", "planes", "transposed", "channel slice", "reversed channels", "reversed rows",
    "steps", "crop", "repeated images", "repeated channels", "unaligned", "swapped bytes",
)  # fmt: skip


def array_words(values=FINITE, layouts=LAYOUTS):
    """Return a strategy for what :func:`make` takes; plain arrays of normal numbers are the most frequent."""
    return st.fixed_dictionaries(
        {
            "values": st.one_of(st.just("normal"), st.sampled_from(values)),
            "layout": st.one_of(st.just("plain"), st.sampled_from(layouts)),
            "seed": st.integers(0, 10**6),
        }
    )


def make(words, shape, dtype):
    """Return an array of a shape and dtype; the same words give the same numbers."""
    digest = hashlib.sha256(repr((words["seed"], words["values"], shape)).encode()).digest()
    rng = np.random.default_rng(list(digest[:8]))
    return laid_out(fill(words["values"], shape, rng).astype(dtype), words["layout"])


def fill(values, shape, rng):
    """Return numbers of one kind, float64."""
    x = rng.standard_normal(shape)
    if values == "zeros":
        x[...] = 0
    elif values == "constant":
        x[...] = rng.standard_normal()
    elif values == "ties":
        x = rng.integers(-2, 3, shape).astype(float)
    elif values == "negative zeros":
        x = np.where(rng.random(shape) < 0.5, -0.0, np.maximum(x, 0.0))
    elif values == "mixed sizes":
        x *= 10.0 ** rng.integers(-6, 7, shape)
    elif values in ("huge", "tiny"):
        x *= 1e12 if values == "huge" else 1e-12
    elif values == "shifted":
        x += 1000
    elif values == "first row apart":
        x[1:] += 1000
        x[:1, 1:] += 1000
        x[:1, :1] = 0
    elif values == "all minus infinity":
        x[...] = -np.inf
    elif values == "minus infinity but one":
        x[..., 1:] = np.where(rng.random(x[..., 1:].shape) < 0.3, -np.inf, x[..., 1:])
    elif values in NON_FINITE:
        chosen = {"infinities": [np.inf, -np.inf], "minus infinity": [-np.inf], "nan": [np.nan]}[values]
        x = np.where(rng.random(shape) < 0.3, rng.choice(chosen, shape), x)
    return x


def laid_out(x, layout):
    """Return an array that equals ``x`` but lies differently in memory, between NaN that nobody may read.

    Only the layouts ``repeated …`` change values: they repeat the first image or channel with a stride of 0.
    """
    ends = (1, 2) if x.ndim == 4 else (0,)
    if layout == "read-only":
        x.flags.writeable = False
    elif layout == "fortran":
        x = np.asfortranarray(x)
    elif layout == "planes" and x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    elif layout == "transposed" and x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    elif layout == "channel slice":
        x = _inside(x, {x.ndim - 1: (1, 2, 1)})
    elif layout == "reversed channels":
        x = x[..., ::-1].copy()[..., ::-1]
    elif layout == "reversed rows":
        x = np.flip(np.flip(x, ends[0]).copy(), ends[0])
    elif layout == "steps":
        x = _inside(x, dict.fromkeys(ends, (1, 0, 2)))
    elif layout == "crop":
        x = _inside(x, dict.fromkeys(ends, (2, 1, 1)))
    elif layout == "repeated images" and len(x):
        x = np.broadcast_to(x[:1], x.shape)
    elif layout == "repeated channels" and x.shape[-1]:
        x = np.broadcast_to(x[..., :1], x.shape)
    elif layout == "swapped bytes":
        x = x.astype(x.dtype.newbyteorder())
    elif layout == "unaligned":
        memory = np.full(x.nbytes + 1, 255, np.uint8)
        memory[1:] = np.frombuffer(x.tobytes(), np.uint8)
        x = memory[1:].view(x.dtype).reshape(x.shape)
    return x


def _inside(x, margins):
    """Return ``x`` as a view into an array of NaN: (before, after, step) for some of the axes."""
    shape, where = list(x.shape), [slice(None)] * x.ndim
    for axis, (before, after, step) in margins.items():
        shape[axis] = before + step * x.shape[axis] + after
        where[axis] = slice(before, before + step * x.shape[axis], step)
    outer = np.full(shape, np.nan, x.dtype)
    outer[tuple(where)] = x
    return outer[tuple(where)]
