r"""
21. Making it fast: tiles, threads, Winograd
============================================

**The question.** The loops of lesson 3 and the packaged convolution compute the same sums, but the loops are thousands
of times slower. Where does the time go, and how much remains after optimisation?

You need lessons 3 and 4 (convolution, im2col) and lesson 12 (a whole network).

**What you will build.** Convolutions by tiles and by Winograd's method, and a figure of the time that each step saves.

**Time.** About 55 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: patch, tile, Winograd, thread.
"""

# %%
# Write your prediction down first
# --------------------------------
# A layer maps 56×56 pixels with 64 channels to as many pixels and channels, with 3×3 kernels. Write down:
#
# 1. how many multiplications it performs;
# 2. how long your computer should need for them, if one core of its processor does some 25 billion multiplications and
#    as many additions per second;
# 3. how many of these multiplications one could save without changing the result. (Most people say: none.)

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
rng = np.random.default_rng(17)

# Use one core everywhere, for a fair comparison. The fourth step adds the others.
one_core = threadpool_limits(1)
threads_before = os.environ.get("SCRATCHNET_THREADS")
os.environ["SCRATCHNET_THREADS"] = "1"

h = w = 56
c_in = c_out = 64
x = rng.standard_normal((1, h, w, c_in)).astype(np.float32)
weight = rng.standard_normal((3, 3, c_in, c_out)).astype(np.float32)

products = h * w * c_out * 9 * c_in
print(f"{products / 1e6:.1f} million multiplications")


runs = []  # (seconds by the clock, seconds of the processor) of every run


def seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest of a few runs: other load on the machine can only make a run longer."""
    first = len(runs)
    for _ in range(repeats):
        start, start_of_processor = time.perf_counter(), time.process_time()
        function()
        runs.append((time.perf_counter() - start, time.process_time() - start_of_processor))
    return min(by_clock for by_clock, _ in runs[first:])


# %%
# 115.6 million multiplications, each followed by an addition: at 25 billion of each per second about 5 ms.
#
# Count before you optimise
# -------------------------
# A computer does two things: it calculates, and it reads and writes memory. The layer reads a map and the weights and
# writes a map. How many multiplications are there for each value moved?

numbers = x.size + weight.size + h * w * c_out
per_number = products / numbers
print(f"{numbers} values moved, {per_number:.0f} multiplications for each")
assert round(per_number) == 264

# %%
# 264 multiplications for each value moved to or from memory. In the time in which one value arrives from main memory,
# a core can do some sixty multiplications and additions (measured with ``python benchmarks/lock.py``), so arithmetic
# *can* be the limit for this layer. For ReLU, with one comparison per element, memory is always the limit. Every
# optimisation below serves one of two purposes: less memory traffic, or fewer calculations.

# %%
# First step: from loops to one product
# -------------------------------------
# Lesson 4 copied every 3×3 window, also called a *patch*, into a row of a matrix (im2col), so that one matrix product
# does the rest. Here are both versions again. The version in pure Python is measured on a single pixel, because the
# whole map would take too long.


def one_pixel_in_python(patch: list, weight: list) -> list:
    """Return the c_out outputs of one pixel from its patch [3][3][c_in]."""
    outputs = [0.0] * len(weight[0][0][0])
    for i in range(3):
        for j in range(3):
            for c in range(len(patch[i][j])):
                for d in range(len(outputs)):
                    outputs[d] += patch[i][j][c] * weight[i][j][c][d]
    return outputs


def by_loops(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Convolve (1, h, w, c_in) with padding 1: four loops, and two more (over the channels) hidden in ``@``."""
    _, h, w, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros((1, h, w, weight.shape[3]), x.dtype)
    for row in range(h):
        for column in range(w):
            for i in range(3):
                for j in range(3):
                    y[0, row, column] += padded[0, row + i, column + j] @ weight[i, j]
    return y


def columns_of(x: np.ndarray) -> np.ndarray:
    """Return the patches as rows, (h·w, 9·c_in)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))  # (1, h, w, c_in, 3, 3)
    return patches.transpose(0, 1, 2, 4, 5, 3).reshape(x.shape[1] * x.shape[2], -1)


def by_im2col(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Convolve with one matrix product."""
    return (columns_of(x) @ weight.reshape(-1, weight.shape[3])).reshape(*x.shape[:3], -1)


patch, plain_weight = x[0, :3, :3].tolist(), weight.tolist()
ladder = {
    "Python alone (one pixel × 3136)": h * w * seconds(lambda: one_pixel_in_python(patch, plain_weight)),
    "loops over pixels": seconds(lambda: by_loops(x, weight), 1),
    "im2col": seconds(lambda: by_im2col(x, weight)),
}
print({name: f"{1000 * t:.1f} ms" for name, t in ladder.items()})
truth = by_im2col(x.astype(np.float64), weight.astype(np.float64))  # the reference for everything below


def off(y: np.ndarray) -> float:
    """Return the largest error, relative to the largest output."""
    return float(np.abs(y - truth).max() / np.abs(truth).max())


assert off(by_loops(x, weight)) < 1e-5

# %%
# Second step: tiles that stay in the cache
# -----------------------------------------
# The matrix of patches is nine times as large as the map, because every pixel is in nine patches:

columns_bytes = columns_of(x).nbytes
print(f"map {x.nbytes / 1e6:.1f} MB, patches {columns_bytes / 1e6:.1f} MB")
assert columns_bytes == 9 * x.nbytes

# %%
# On many processors it just fits into the cache (lesson 4), so copying costs little. The patches of a larger map are
# written to main memory and read back. So process a few rows of the map, a **tile**, at a time: their patches stay in
# the cache and are overwritten before they reach main memory.


def by_tiles(x: np.ndarray, weight: np.ndarray, rows: int = 8) -> np.ndarray:
    """Convolve a few rows at a time."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    matrix = weight.reshape(-1, weight.shape[3])
    y = np.empty((*x.shape[:3], weight.shape[3]), x.dtype)
    columns = np.empty((rows, x.shape[2], 3, 3, x.shape[3]), x.dtype)  # allocated once and overwritten for every tile
    for top in range(0, x.shape[1], rows):
        part = columns[: min(rows, x.shape[1] - top)]
        for i in range(3):
            for j in range(3):
                part[:, :, i, j] = padded[0, top + i : top + i + len(part), j : j + x.shape[2]]
        y[0, top : top + rows] = (part.reshape(-1, len(matrix)) @ matrix).reshape(len(part), x.shape[2], -1)
    return y


ladder["tiles"] = seconds(lambda: by_tiles(x, weight))
assert off(by_tiles(x, weight)) < 1e-5
print(f"tiles: {1000 * ladder['tiles']:.1f} ms")

wide = rng.standard_normal((1, 112 if FAST else 224, 224, c_in)).astype(np.float32)
at_once, in_tiles = (seconds(lambda way=way: way(wide, weight), 3) for way in (by_im2col, by_tiles))
print(f"on a map of {wide.shape[1]}×224: im2col {1000 * at_once:.0f} ms, tiles {1000 * in_tiles:.0f} ms")

# %%
# Third step: fewer multiplications (Winograd)
# --------------------------------------------
# Now the third prediction. Take a kernel of 3 elements, :math:`g_0, g_1, g_2`, that slides over 4 values,
# :math:`d_0 \ldots d_3`. It has two outputs and needs six multiplications:
#
# .. math::
#
#     y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2 \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2
#
# Four are enough (**Winograd** 1980). Transform the kernel and the data once, with only additions and a halving, then
# multiply:
#
# .. math::
#
#     m_0 = (d_0 - d_2)\, g_0 \quad m_1 = (d_1 + d_2) \frac{g_0 + g_1 + g_2}{2} \quad
#     m_2 = (d_2 - d_1) \frac{g_0 - g_1 + g_2}{2} \quad m_3 = (d_1 - d_3)\, g_2
#
# and :math:`y_0 = m_0 + m_1 + m_2`, :math:`y_1 = m_1 - m_2 - m_3`. Expand these sums on paper: all other terms cancel.
# As matrices, with the names of Lavin and Gray (2016):

b_t = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float32)
g = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
a_t = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)

data, kernel = np.array([3.0, 1.0, 4.0, 1.0]), np.array([5.0, 9.0, 2.0])
by_transform = a_t @ ((g @ kernel) * (b_t @ data))
by_sliding = np.array([data[:3] @ kernel, data[1:] @ kernel])
print(by_transform, by_sliding)
assert np.allclose(by_transform, by_sliding)
assert by_sliding.tolist() == [32, 43]

# %%
# In two dimensions the same transforms apply to rows and columns,
# :math:`Y = A^\top [(G g G^\top) \odot (B^\top d B)] A`, where ⊙ is the elementwise product. A tile of 2×2 outputs then
# takes 4·4 = 16 multiplications where the sliding sum takes 4·9 = 36. This is written F(2×2, 3×3). A tile of 4×4
# outputs, F(4×4, 3×3), with other, larger matrices, takes 36 instead of 144, which saves three of four multiplications.
#
# With channels, each of the 16 positions of the transformed tiles is a separate matrix product: (tiles × c_in) times
# (c_in × c_out). In the code, ``np.einsum`` computes the products with :math:`B^\top`, :math:`G` and :math:`A^\top`:
# each letter is an axis, and an axis missing to the right of the arrow is summed over.


def by_winograd(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Convolve with F(2×2, 3×3)."""
    _, h, w, c = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    tiles = np.lib.stride_tricks.sliding_window_view(padded[0], (4, 4), axis=(0, 1))[::2, ::2]  # (h/2, w/2, c, 4, 4)
    changed = np.einsum("ia,tucab,jb->ijtuc", b_t, tiles, b_t, optimize=True).reshape(16, -1, c)
    kernels = np.einsum("ia,abcd,jb->ijcd", g, weight, g, optimize=True).reshape(16, c, -1)
    multiplied = (changed @ kernels).reshape(4, 4, h // 2, w // 2, -1)  # all the multiplications are here
    y = np.einsum("pi,ijtud,qj->tpuqd", a_t, multiplied, a_t, optimize=True)
    return y.reshape(1, h, w, -1)


winograd_products = 16 * (h // 2) * (w // 2) * c_in * c_out
print(f"{winograd_products / 1e6:.1f} million multiplications, {products / winograd_products:.2f} times fewer")
ladder["Winograd, as written"] = seconds(lambda: by_winograd(x, weight))
print(f"Winograd, as written here: {1000 * ladder['Winograd, as written']:.1f} ms")
assert off(by_winograd(x, weight)) < 1e-5
assert products / winograd_products == 2.25

# %%
# 2.25 times fewer multiplications, but hardly faster and often slower, because the transforms of the data now take the
# time. They are limited by memory traffic, not arithmetic. The packaged function reorders the pixels so that each
# transform works on long rows, processes blocks that stay in the cache, and takes tiles of 4×4.

from scratchnet import precise
from scratchnet.ops.convolution import conv2d

ladder["packaged"] = seconds(lambda: conv2d(x, weight, padding=1), 7)
with precise():  # without Winograd
    ladder["packaged, direct"] = seconds(lambda: conv2d(x, weight, padding=1), 7)
    direct_error = off(conv2d(x, weight, padding=1))
winograd_error = off(conv2d(x, weight, padding=1))
print({name: f"{1000 * t:.1f} ms" for name, t in ladder.items()})

# %%
# The figure worth keeping
# ------------------------
# The time of each version. The line marks the time that the multiplications alone would take at the speed of a large
# matrix product on the same core, measured now.
#
# Can you trust these times? Only if the core was free. So every run was measured with two clocks: the one on the wall,
# and the processor's, which stands still while another program has the core. Their difference is waiting.

from scratchnet.visualization import ROLES, panels, save_figure
from scratchnet.visualization.style import INK

square = rng.standard_normal((1024, 1024)).astype(np.float32)
a_second = 1024**3 / seconds(lambda: square @ square, 5)

by_clock, by_processor = (sum(column) for column in zip(*runs, strict=True))
waiting = max(0.0, 1 - by_processor / by_clock)
print(f"this program waited for a core during {waiting:.0%} of the time measured so far")
busy = waiting > 0.1
if busy:
    print("The machine is busy: all times are too long. Run this lesson again when nothing else is running.")

figure, (axes,) = panels(7.5, 3.4)
names = [*list(ladder)[:2], "im2col", "tiles", "Winograd, as written", "packaged, direct", "packaged"]
times = [1000 * ladder[name] for name in names]
axes.barh(names, times, color=[ROLES["image"]] * 5 + [ROLES["output"]] * 2, height=0.6)
for row, value in enumerate(times):
    axes.text(value * 1.08, row, f"{value:.1f} ms", va="center", fontsize=9, color=INK)
axes.axvline(1000 * products / a_second, color=ROLES["weight"], linewidth=2)
axes.text(1000 * products / a_second, -0.75, " multiplications alone", fontsize=9, color=INK, va="center")
axes.set_xscale("log")
axes.set_xlim(right=max(times) * 5)
axes.invert_yaxis()
note = f"\nbusy machine: the program waited {waiting:.0%} of the time" if busy else ""
axes.set_xlabel(f"milliseconds for one layer, 56×56×64 → 56×56×64, 3×3{note}")
save_figure(
    figure,
    "21-making-it-fast",
    alt="Horizontal bars on a logarithmic scale: the time of one layer in pure Python, with loops over pixels, by "
    "im2col, by tiles, by Winograd's method and in the package. Python alone takes far longer than all "
    "others.",
)

# %%
# Fourth step: all cores
# ----------------------
# A **thread** is a part of a program that runs at the same time as the others, on its own core if one is free. Python
# has a lock that lets only one thread at a time run Python code. NumPy releases it while it works on an array, so two
# threads can work at once, each on half of the rows. This pays off for large arrays only: starting work in a thread and
# waiting for it takes some hundredths of a millisecond, as long as a pass over ten thousand elements or more. Measure
# it here:

from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(2) as pool:
    for size in (1_000, 100_000, 10_000_000 if not FAST else 1_000_000):
        halves = np.array_split(np.ones(size, np.float32), 2)
        alone = seconds(lambda halves=halves: [np.sqrt(half, out=half) for half in halves])
        shared = seconds(lambda halves=halves: list(pool.map(lambda half: np.sqrt(half, out=half), halves)))
        print(f"{size:>10} elements: one thread {1e6 * alone:9.0f} µs, two threads {1e6 * shared:9.0f} µs")

# %%
# Fifth step: reuse memory
# ------------------------
# Writing to a newly allocated large array takes longer than writing to one that is already in use, because the
# operating system clears each page of memory on first access.

large = np.ones(12_000_000, np.float32)
used = np.empty_like(large)
fresh_time = seconds(lambda: np.multiply(large, 2))
used_time = seconds(lambda: np.multiply(large, 2, out=used))
print(f"into a new array {1000 * fresh_time:.2f} ms, into a used one {1000 * used_time:.2f} ms")

# %%
# scratchnet therefore keeps the memory of deleted arrays for new arrays of the same size, and works in place where the
# old values are no longer needed (`scratchnet.engine.memory.pool`).
#
# Where the time goes in a whole network
# --------------------------------------
# We time one forward and one backward pass of the small DeconvNet of lesson 15 in two versions. With ``textbook()`` the
# package computes every layer separately, directly from its formula in `scratchnet.ops`. The fast version, in
# `scratchnet.engine.cpu`, uses everything above and one more technique: ``scratchnet.compile`` captures the array
# operations of one training step and then repeats that list, because every step performs the same operations on other
# values.

one_core.restore_original_limits()
os.environ.pop("SCRATCHNET_THREADS")
if threads_before is not None:
    os.environ["SCRATCHNET_THREADS"] = threads_before

import scratchnet
from scratchnet import textbook
from scratchnet.losses import PixelLoss
from scratchnet.models import build

side = 32 if FAST else 64
net = build("deconvnet-small", classes=2, size=side).allocate(seed=0).train()
images = rng.standard_normal((2 if FAST else 8, side, side, 3)).astype(np.float32)
labels = (images.sum(axis=3) > 0).astype(np.uint8)
loss = PixelLoss(classes=2)


def step_of(passes: Any) -> Callable[[], None]:
    """Return a function that runs one forward and one backward pass."""

    def step() -> None:
        _, dlogits = loss(passes.forward(images), labels)
        passes.backward(dlogits)

    return step


with textbook():
    plain = seconds(step_of(net))
fast_step = step_of(scratchnet.compile(net))
fast_step()  # the eager forward and backward pass
fast_step()  # captured
fast = seconds(fast_step)  # replayed
print(f"a training step: textbook {1000 * plain:.0f} ms, fast {1000 * fast:.0f} ms, {plain / fast:.1f} times")

# %%
# What breaks if …
# ----------------
# **… tiles are larger?** Winograd's matrices come from polynomials evaluated at a few points, and larger tiles need
# more points. The powers of these points grow, and the rounding errors with them. In ``float32``, F(4×4, 3×3) has a
# larger error than the direct sum; in ``float64`` the package does not use it here:

print(f"largest error: direct {direct_error:.0e}, Winograd {winograd_error:.0e} of the largest output")
assert direct_error < winograd_error < 1e-4

# %%
# **… the map is small?** At 7×7 there are four tiles of 4×4, and transforming the kernels costs more than all the
# products. The package then uses the direct sum. `scratchnet.engine.cpu.conv_algorithm` makes this choice.
#
# **… you use all cores twice?** If each of your threads starts a matrix product that uses several threads itself, they
# compete for the cores. While its own threads work, scratchnet limits the matrix library to one thread each.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/21_making_it_fast.py``.
#
# 1. How many multiplications does F(4×4, 3×3) need for the layer above, and how many times fewer is that?
# 2. Expand :math:`m_0 + m_1 + m_2` and :math:`m_1 - m_2 - m_3` and show that they are the sliding sums. (Or check it on
#    random values.)
# 3. A 1×1 convolution from 64 to 64 channels on the same map: how many multiplications are there for each number moved?
#    And for ReLU? Which of the two can two cores make twice as fast?
# 4. Write ReLU so that it does not allocate a new array, and measure both versions on four million elements.
#
# ``scratchnet exercise start 21`` writes stubs for Winograd in one dimension and for counting multiplications;
# ``scratchnet exercise check 21`` checks them. They are close to exercises 1 and 2.
