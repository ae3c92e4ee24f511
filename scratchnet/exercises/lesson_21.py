"""Exercises of lesson 21: Winograd's four multiplications, and counting."""

from collections.abc import Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def winograd(d: Array, g: Array) -> tuple[Array, Array]:
    """Return the four products m (4,) and the two outputs y (2,) of F(2, 3), for values d (4,) and kernel g (3,).

    The kernel slides over the values: y₀ = d₀g₀ + d₁g₁ + d₂g₂ and y₁ = d₁g₀ + d₂g₁ + d₃g₂. With four products:

        m₀ = (d₀ − d₂)·g₀
        m₁ = (d₁ + d₂)·(g₀ + g₁ + g₂)/2
        m₂ = (d₂ − d₁)·(g₀ − g₁ + g₂)/2
        m₃ = (d₁ − d₃)·g₂
        y₀ = m₀ + m₁ + m₂,    y₁ = m₁ − m₂ − m₃
    """
    data = np.array([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])
    kernel = np.array([g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]])
    m = data * kernel
    return m, np.array([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])


def convolve_in_tiles(x: Array, g: Array) -> Array:
    """Return the convolution of x (n,) with the kernel g (3,) by tiles of two outputs: (n − 2,). n is at least 3.

    A tile reads four values, and the next tile begins two values further. If n − 2 is odd, the last tile lacks a value:
    add a 0, and drop its second output.
    """
    outputs = len(x) - 2
    padded = np.append(x, np.zeros(outputs % 2))
    tiles = [winograd(padded[i : i + 4], g)[1] for i in range(0, outputs, 2)]
    return np.concatenate(tiles)[:outputs]


def conv_multiply_adds(h: int, w: int, channels: tuple[int, int], k: int, stride: int, padding: int) -> int:
    """Return the multiply-adds of a k×k convolution of a map (h, w) from channels[0] to channels[1] channels.

    One multiply-add is one multiplication and the addition after it. Products with the padding's zeros count.
    """
    oh, ow = (h + 2 * padding - k) // stride + 1, (w + 2 * padding - k) // stride + 1
    return oh * ow * k * k * channels[0] * channels[1]


def winograd_multiplications(h: int, w: int, channels: tuple[int, int], m: int) -> int:
    """Return the multiplications of a 3×3 convolution with padding 1 and stride 1 by Winograd's F(m×m, 3×3).

    The output (h, w) is cut into tiles of m×m; tiles at the border may be incomplete, and cost as much as others. A
    tile takes (m + 2)² multiplications for each pair of an input and an output channel. The transforms do not count.
    """
    tiles = -(-h // m) * -(-w // m)
    return tiles * (m + 2) ** 2 * channels[0] * channels[1]


def _winograd_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("winograd", (np.array([3.0, 1, 4, 1]), np.array([5.0, 9, 2])), "the case by hand")
    for i in range(3):
        yield Case("winograd", (rng.standard_normal(4), rng.standard_normal(3)), f"random values {i + 1}")
    yield Case("convolve_in_tiles", (np.array([3.0, 1, 4, 1]), np.array([5.0, 9, 2])), "the case by hand, one tile")
    for n, words in ((10, "four tiles"), (7, "an odd number of outputs"), (3, "one output")):
        yield Case("convolve_in_tiles", (rng.standard_normal(n), rng.standard_normal(3)), words)


def _count_cases(rng: np.random.Generator) -> Iterator[Case]:
    for sizes, words in (
        ((2, 3, (1, 1), 1, 1, 0), "the case by hand, a 1×1 convolution of 2×3 pixels"),
        ((56, 56, (64, 64), 3, 1, 1), "the layer of the lesson"),
        ((10, 7, (3, 8), 3, 1, 0), "no padding"),
        ((11, 8, (2, 5), 3, 2, 1), "stride 2"),
        ((9, 12, (4, 6), 5, 3, 2), "stride 3"),
    ):
        yield Case("conv_multiply_adds", sizes, words)
    for counted, words in (
        ((4, 2, (1, 1), 2), "the case by hand, two tiles"),
        ((56, 56, (64, 64), 4), "the layer of the lesson"),
        ((7, 10, (3, 8), 4), "incomplete tiles"),
        ((5, 6, (2, 3), 2), "incomplete tiles in one direction"),
    ):
        yield Case("winograd_multiplications", counted, words)


def _m2_reversed(d: Array, g: Array) -> tuple[Array, Array]:
    m = winograd(d, g)[0] * [1, 1, -1, 1]
    return m, np.array([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])


def _no_halves(d: Array, g: Array) -> tuple[Array, Array]:
    m = winograd(d, g)[0] * [1, 2, 2, 1]
    return m, np.array([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])


def _added_m3(d: Array, g: Array) -> tuple[Array, Array]:
    m = winograd(d, g)[0]
    return m, np.array([m[0] + m[1] + m[2], m[1] - m[2] + m[3]])


def _flipped(d: Array, g: Array) -> tuple[Array, Array]:
    return winograd(d, g[::-1])


def _tiles_of_four(x: Array, g: Array) -> Array:
    outputs = len(x) - 2
    padded = np.append(x, np.zeros(2 * len(x)))
    tiles = [winograd(padded[2 * i : 2 * i + 4], g)[1] for i in range(0, outputs, 2)]
    return np.concatenate(tiles)[:outputs]


def _incomplete_dropped(x: Array, g: Array) -> Array:
    y = convolve_in_tiles(x, g)
    return y[: len(y) // 2 * 2]


def _zero_kept(x: Array, g: Array) -> Array:
    return convolve_in_tiles(np.append(x, np.zeros(len(x) % 2)), g)


EXERCISES = (
    Exercise(
        "21_winograd",
        "Winograd's F(2, 3) in one dimension",
        "Two outputs of a kernel of three elements take six multiplications; four are enough. Write them, and a "
        "convolution in tiles of two outputs, which may call the first function.",
        (winograd, convolve_in_tiles),
        _winograd_cases,
        (
            Mistake("Your m₂ has the wrong sign; it is (d₂ − d₁) times its factor.", {"winograd": _m2_reversed}),
            Mistake("Yours lacks the halves in the factors of m₁ and m₂.", {"winograd": _no_halves}),
            Mistake("Yours adds m₃ to y₁; it is subtracted.", {"winograd": _added_m3}),
            Mistake("Yours flips the kernel; the convolutions here do not.", {"winograd": _flipped}),
            Mistake(
                "Your tiles begin 4 values apart; tiles of two outputs begin 2 apart and share two values.",
                {"convolve_in_tiles": _tiles_of_four},
            ),
            Mistake(
                "Yours drops the last output if their number is odd; complete the last tile with a 0.",
                {"convolve_in_tiles": _incomplete_dropped},
            ),
            Mistake(
                "Yours keeps the output of the added 0; drop it.",
                {"convolve_in_tiles": _zero_kept},
            ),
        ),
        (
            "Transform the values and the kernel to four values each, then multiply element by element.",
            "The tiles begin at 0, 2, 4, …; a tile is winograd(x[i : i + 4], g)[1].",
        ),
        results={"winograd": ("m", "y")},
    ),
    Exercise(
        "21_multiply_adds",
        "Count before you optimise",
        "Count the multiplications of a convolution, directly and by Winograd.",
        (conv_multiply_adds, winograd_multiplications),
        _count_cases,
        (
            Mistake(
                "Yours counts the pixels of the input; every *output* takes k·k·channels multiplications.",
                {"conv_multiply_adds": lambda h, w, c, k, s, p: h * w * k * k * c[0] * c[1]},
            ),
            Mistake(
                "Yours counts k instead of k·k products; the kernel has rows and columns.",
                {"conv_multiply_adds": lambda h, w, c, k, s, p: conv_multiply_adds(h, w, c, k, s, p) // k},
            ),
            Mistake(
                "Yours adds the channels; every pair of an input and an output channel has a kernel.",
                {
                    "conv_multiply_adds": lambda h, w, c, k, s, p: (
                        conv_multiply_adds(h, w, (1, 1), k, s, p) * (c[0] + c[1])
                    )
                },
            ),
            Mistake(
                "Yours counts multiplications and additions separately; one of each is one multiply-add.",
                {"conv_multiply_adds": lambda h, w, c, k, s, p: 2 * conv_multiply_adds(h, w, c, k, s, p)},
            ),
            Mistake(
                "Yours leaves out incomplete tiles; round up.",
                {"winograd_multiplications": lambda h, w, c, m: (h // m) * (w // m) * (m + 2) ** 2 * c[0] * c[1]},
            ),
            Mistake(
                "Yours takes m² multiplications per tile; a tile reads (m + 2)² values.",
                {
                    "winograd_multiplications": lambda h, w, c, m: (
                        winograd_multiplications(h, w, c, m) // (m + 2) ** 2 * m**2
                    )
                },
            ),
            Mistake(
                "Yours counts 9 multiplications per output; that is the direct sum.",
                {"winograd_multiplications": lambda h, w, c, m: h * w * 9 * c[0] * c[1]},
            ),
        ),
        ("The layer of the lesson has 115.6 million.", "-(-h // m) is h / m, rounded up."),
    ),
)
