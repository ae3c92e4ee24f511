r"""
22. The same on a GPU
=====================

**The question.** A graphics processor, **GPU**, runs many thousand threads at once. Which parts of the package must
change to run on one, which stay the same, and what can go wrong that cannot go wrong on a CPU?

You need lesson 4 (convolution as a matrix product), lesson 7 (switches) and lesson 21 (making it fast). You do not need
a GPU: this lesson simulates one.

**What you will build.** A simulation of a GPU kernel, thread by thread, and a roofline that predicts which layers are
limited by memory.

**Time.** About 70 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: GPU, warp, atomic, CuPy, roofline, TF32, bfloat16.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. Four threads each add 1 to the same number, 0, at the same time: read it, add, write it back. Which results are
#    possible?
# 2. A convolution with 64 channels and a ReLU work on the same map of 224×224 pixels. The convolution performs about a
#    thousand times as many operations. How much longer does it take?
# 3. Multiplying numbers with 8 significant bits instead of 24 is many times faster. How large is the error of a sum of
#    576 such products, in per cent of the largest result?

import itertools

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
rng = np.random.default_rng(18)

# %%
# By hand: one thread per element
# -------------------------------
# A GPU program describes what a **single thread** does, and the GPU starts a few hundred thousand of them. Such a
# program is also called a **kernel**; it has nothing to do with the kernel of a convolution. Threads are grouped in
# **blocks**, and each thread has access to four values: the index of its block, its own index within the block, the
# size of the blocks and their number. From these it computes which part of the work to do.
#
# This is the kernel of max-pooling with switches, read from the file that the package passes to the GPU's compiler:

from scratchnet.engine.cuda.compiled import row_launch, source

lines = source("pooling").splitlines()
start = next(number for number, line in enumerate(lines) if "void max_pool(" in line)
kernel = list(itertools.takewhile(lambda line: line != "}", lines[start:]))
print("\n".join(kernel))

# %%
# This is C++ with a few additions for GPUs, called CUDA. If you know Python, this much is enough to read it:
#
# - Each name has a type, written before it: ``int`` is a whole number. ``REAL`` is ``float`` or ``double``, and
#   ``Switch`` is a byte. ``const`` means that the value does not change.
# - An array has no shape. ``const REAL* x`` is a *pointer*, the address of the first element; ``x + 5`` is the address
#   of element 5, and ``x[5]`` is that element. So the code computes the position of (row, column, channel) itself:
#   ``(row * w + column) * c + channel``. ``(long long)`` makes this a 64-bit number, because 32 bits end at two
#   billion. ``__restrict__`` promises that the arrays do not overlap.
# - ``for (int i = a; i < b; i += s) { … }`` is ``for i in range(a, b, s)``. ``r++`` adds 1. Braces enclose what Python
#   indents, a semicolon ends a statement, and ``//`` starts a comment.
# - ``/`` between whole numbers rounds towards 0, ``%`` is the remainder, ``||`` is *or*. ``-1 / REAL(0)`` is −∞.
#   ``value != value`` is true only for NaN.
# - ``__global__ void`` marks a function that runs on the GPU and returns nothing; its results go into ``y`` and
#   ``index``. ``extern "C"`` keeps its name unchanged, so that Python finds it.
# - ``blockIdx``, ``threadIdx``, ``blockDim`` and ``gridDim`` are the four values: the index of the block, the index of
#   the thread in it, the size of a block, and the number of blocks. Each has a part ``.x`` and a part ``.y``.
#
# Line by line:
#
# - ``row`` and ``i``: the row of windows, and the element of this row, that this thread computes. Channels are the
#   innermost axis, so neighbouring threads process neighbouring channels of the same window and read adjacent memory.
#   32 threads run in lockstep (a **warp**), and one memory access fetches 32 adjacent values of four bytes.
# - ``if (row >= rows) return``: there are more threads than work. The rest exit.
# - the two loops: this thread's window, without the padding. ``value > best``, not ``≥``: the first of equal values
#   wins, as in lesson 7.
# - the last two lines: write the maximum and its switch **once**, to an address that no other thread writes.
#
# Here is the same in Python, with a function call in place of a thread, on the map of lesson 7:

x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], np.float32).reshape(1, 4, 4, 1)


def max_pool_thread(block: tuple, thread: tuple, x, y, index, k: int, shape: tuple, reads: dict) -> None:
    """Run one thread; ``shape`` is (blockDim.x, blockDim.y, gridDim.y)."""
    n, h, w, c = x.shape
    oh, ow = h // k, w // k
    row = block[0] * shape[1] + thread[1]
    if row >= n * oh:
        return
    top, image = row % oh * k, x[row // oh]
    for i in range(block[1] * shape[0] + thread[0], ow * c, shape[2] * shape[0]):
        left, channel = i // c * k, i % c
        best, where = -np.inf, 0
        for r, s in np.ndindex(k, k):
            value = image[top + r, left + s, channel]
            reads[row // oh, top + r, left + s, channel] = (*block, *thread)
            if value > best:
                best, where = value, r * k + s
        y.reshape(n * oh, ow * c)[row, i] = best
        index.reshape(n * oh, ow * c)[row, i] = where


def launch(x: np.ndarray, k: int, order: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict, int]:
    """Run all threads in random order; return maxima, switches, the reader of each pixel, and the number of threads."""
    n, h, w, c = x.shape
    grid, block = row_launch(n * (h // k), w // k * c)
    y, index, reads = np.empty((n, h // k, w // k, c), x.dtype), np.empty((n, h // k, w // k, c), np.uint8), {}
    threads = list(itertools.product(np.ndindex(grid), np.ndindex(block)))
    order.shuffle(threads)
    for where, thread in threads:
        max_pool_thread(where, thread, x, y, index, k, (*block, grid[1]), reads)
    return y, index, reads, len(threads)


y, index, reads, started = launch(x, 2, rng)
print("maxima\n", y[0, :, :, 0], "\nswitches\n", index[0, :, :, 0])
busy = len(set(reads.values()))
print(f"{started} threads were started, {busy} had work")
assert y.ravel().tolist() == [9, 8, 12, 9]
assert index.ravel().tolist() == [1, 3, 0, 0]

# %%
# 256 threads were started and 4 had work: GPUs are made for large maps. On a larger map, our threads agree with the
# package's CPU version, in any order:

from scratchnet.ops.pooling import max_pool2d

large = rng.standard_normal((2, 8, 6, 5)).astype(np.float32)
packaged, remembered = max_pool2d(large, 2)
for seed in range(3):
    y, index, *_ = launch(large, 2, np.random.default_rng(seed))
    assert (y == packaged).all()
    assert (index == remembered.index).all()
print("three orders of the threads, the same values as on the CPU")

# %%
# Gather instead of scatter
# -------------------------
# The definition of unpooling suggests one thread per window, which **puts** the window's value where its switch points.
# But where windows overlap, two of them may write to the same pixel. An addition consists of three steps: read, add,
# write. Let four threads run these steps side by side, as in lesson 7, where four windows chose the same pixel:


def scatter(steps: list[int]) -> int:
    """Run four threads that add 1 to the same number, in a given order of their steps; return the number."""
    memory, own, at = 0, [0] * 4, [0] * 4
    for thread in steps:
        if at[thread] == 0:
            own[thread] = memory  # read
        elif at[thread] == 1:
            own[thread] += 1
        else:
            memory = own[thread]  # write
        at[thread] += 1
    return memory


in_turn = scatter([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
in_step = scatter([0, 1, 2, 3] * 3)
outcomes = {scatter(list(rng.permutation([0, 1, 2, 3] * 3))) for _ in range(500)}
print(f"one after the other: {in_turn}; in step: {in_step}; in 500 random orders: {sorted(outcomes)}")
assert outcomes <= {1, 2, 3, 4}

# %%
# One after the other gives 4, in step gives 1, and other orders give anything in between. The result may even differ
# from run to run. GPUs have *atomic* additions, which cannot be interrupted, so no addition is lost. But the order
# remains random, and for floating-point numbers the order matters:

four = np.array([1e8, 1, -1e8, 1], np.float32)
sums = {float(sum(order, np.float32(0))) for order in itertools.permutations(four)}
print("1e8 + 1 − 1e8 + 1 in float32, in all orders:", sorted(sums))
assert sums == {0, 1, 2}

# %%
# 0, 1 or 2. So the package reverses the question. Instead of "where does this window put its value?" it asks "**which
# windows chose this pixel?**": one thread per *pixel* looks at the few windows that contain it, adds in a fixed order
# and writes once. This is called *gather*. It reads a little more, but never waits and gives the same bits every time.

peak = np.zeros((1, 5, 5, 1), np.float32)
peak[0, 2, 2, 0] = 1
tops, shared = max_pool2d(peak, 3, stride=2)


def unpool_thread(v: int, u: int, x: np.ndarray, index: np.ndarray, kernel: int, stride: int) -> float:
    """Return the sum of the values of all windows that chose pixel (v, u)."""
    total = np.float32(0)
    for o, q in np.ndindex(x.shape):
        i, j = v - o * stride, u - q * stride  # the pixel's place in window (o, q), if it lies in it
        if 0 <= i < kernel and 0 <= j < kernel and index[o, q] == i * kernel + j:
            total += x[o, q]
    return float(total)


from scratchnet.ops.pooling import max_unpool2d

ones = np.ones_like(tops)
gathered = np.array(
    [[unpool_thread(v, u, ones[0, ..., 0], shared.index[0, ..., 0], 3, 2) for u in range(5)] for v in range(5)]
)
print("gathered:", gathered[2, 2])
assert (gathered == max_unpool2d(ones, shared)[0, :, :, 0]).all()

# %%
# The kernel in ``pooling.cu`` does not look at all windows but computes the first and the last one that can contain the
# pixel. All kernels of the package gather.
#
# One source
# ----------
# Most of the package has no GPU kernel. **CuPy** is a library with NumPy's functions for arrays on a GPU. The
# operations in ``ops/`` are array code for both libraries: each looks up which one its array belongs to, and
# continues with that module:

from scratchnet.arrays import get_array_module


def leaky(x):
    """Return x where it is positive and x/10 elsewhere, on x's device."""
    xp = get_array_module(x)  # NumPy, or CuPy
    return xp.where(x > 0, x, x * x.dtype.type(0.1))


assert get_array_module(x) is np
print(leaky(np.array([-1, 2], np.float32)))

# %%
# Three rules apply. All arrays of an operation are on the same device, and nothing is copied between devices
# implicitly. Where array code is slow on a GPU, ``engine/cuda/`` has a kernel with the same arguments (and
# ``engine/cpu/`` a faster form for the CPU); ``scratchnet.engine.dispatch`` finds both by name. And a result must not
# depend on the device, except for rounding.
#
# Memory traffic is the cost
# --------------------------
# How long does a layer take? At least as long as its multiplications and additions, and at least as long as reading and
# writing its data: the larger of the two. Count both for a map of 224×224 with 64 channels in float32. For the machine
# we assume round figures: **60 thousand billion operations and 4 thousand billion bytes per second**. (A GPU's data
# sheet lists such figures. A CPU core has perhaps a 500th of the first.)

OPERATIONS, BYTES = 60e12, 4e12
PIXELS = 224 * 224
work = {  # layer: (operations, array elements moved)
    "conv 3×3, 64 → 64": (2 * PIXELS * 9 * 64 * 64, PIXELS * (64 + 64) + 9 * 64 * 64),
    "the same by im2col": (2 * PIXELS * 9 * 64 * 64, PIXELS * (64 + 2 * 9 * 64 + 64) + 9 * 64 * 64),
    "score 1×1, 64 → 21": (2 * PIXELS * 64 * 21, PIXELS * (64 + 21) + 64 * 21),
    "batch norm, then ReLU": (2 * PIXELS * 64 + 3 * PIXELS * 64, PIXELS * (64 * 3 + 64 * 2)),
    "both in one kernel": (2 * PIXELS * 64 + 3 * PIXELS * 64, PIXELS * 64 * 3),
    "ReLU": (PIXELS * 64, PIXELS * 64 * 2),
    "max-pool with switches": (PIXELS * 64, PIXELS * (64 + 16 + 4)),  # a switch is a quarter of a float32
}
times = {}
print(f"{'':24}operations/byte   compute    move   takes, in µs")
for name, (operations, numbers) in work.items():
    compute, move = 1e6 * operations / OPERATIONS, 1e6 * 4 * numbers / BYTES
    times[name] = max(compute, move)
    print(f"{name:24}{operations / (4 * numbers):15.1f}{compute:10.1f}{move:8.1f}{times[name]:8.1f}")
balance = OPERATIONS / BYTES
ratio = work["conv 3×3, 64 → 64"][0] / work["ReLU"][0]
longer = times["conv 3×3, 64 → 64"] / times["ReLU"]
print(f"the convolution computes {ratio:.0f} times as much as the ReLU and takes {longer:.1f} times as long")

# %%
# The machine does 15 operations in the time of one byte. Layers with fewer operations per byte wait for memory: ReLU,
# batch norm, pooling. For these the number of operations does not matter, only how often the map is read and written.
# So batch norm and ReLU are one kernel, which saves two passes of five, and pooling writes its switches in the same
# pass as its maxima. The convolution computes 1152 times as much as the ReLU and takes 9.6 times as long. The im2col of
# lesson 4 writes every pixel nine times and reads it again, so it moves ten times as much data as needed: its 64.3 µs
# are more than the computing. So the package's GPU convolution avoids im2col where it can.
#
# The slowest path of all is the one between the CPU's memory and the GPU's, with perhaps 25 billion bytes per second:

map_bytes = 4 * PIXELS * 64
print(f"the map, {map_bytes / 1e6:.1f} MB, from one memory to the other: {1e6 * map_bytes / 25e9:.0f} µs")
crossing = 1e6 * map_bytes / 25e9 / times["ReLU"]
print(f"that is {crossing:.0f} ReLUs")

# %%
# One crossing costs as much as 80 ReLUs. That is why nothing is copied implicitly. Weights, momentum and maps stay on
# the GPU; images are copied to it, and only the loss is copied back.
#
# The figure worth keeping
# ------------------------
# Left: the map of lesson 7, with the index of the thread that reads each pixel. Right: the highest possible speed of a
# layer on our machine, as a function of its operations per byte moved. The line is called a **roofline**: under its
# slope memory is the limit, under its flat part arithmetic is. ("Both" means batch norm and ReLU.)

from scratchnet.visualization import ROLES, draw_matrix, panels, save_figure

figure, (owners, roof) = panels(9, 3.4, columns=2, widths=(1, 2))
number_of = {who: number for number, who in enumerate(sorted(set(reads.values()), key=lambda who: who[::-1]))}
owner = np.array([[number_of[reads[0, row, column, 0]] for column in range(4)] for row in range(4)], float)
draw_matrix(owners, owner, "image", "which thread reads\nwhich pixel")
intensity = np.logspace(-2, 3, 100)
roof.loglog(intensity, np.minimum(OPERATIONS, BYTES * intensity) / 1e12, color=ROLES["truth"], linewidth=1.2)
for name, (operations, numbers) in work.items():
    if name in ("the same by im2col", "batch norm, then ReLU", "max-pool with switches"):
        continue
    here = operations / (4 * numbers)
    reached = operations / times[name] / 1e6
    roof.plot(here, reached, "o", color=ROLES["output"])
    place, align = ((0, 8), "center") if here > balance else ((9, -6), "left")
    roof.annotate(name, (here, reached), place, textcoords="offset points", fontsize=9, ha=align)
roof.set_ylim(top=200)
roof.set_xlabel("operations per byte")
roof.set_ylabel("10¹² operations per second")
roof.set_title("the highest possible speed: the roofline")
save_figure(
    figure,
    "22-threads-and-roofline",
    alt="Left, sixteen pixels and the thread that reads each: every thread has a block of 2×2. Right, the "
    "roofline: operations per second rise with the operations per byte and then stay level; ReLU is far down "
    "the slope, a 3×3 convolution on the roof.",
)

# %%
# How many bits are enough?
# -------------------------
# A float32 has 24 significant bits. GPUs have matrix units that use fewer: 11 bits (called *TF32*) or 8 (called
# *bfloat16*). How large is the error? NumPy has neither type, but both are easy to emulate: keep the first bits of the
# number and round to the nearest; in case of a tie, to the one whose last bit is 0.


def rounded(x: np.ndarray, bits: int) -> np.ndarray:
    """Return float32 values rounded to ``bits`` significant bits."""
    drop = 24 - bits
    raw = x.astype(np.float32).view(np.uint32)
    last = (raw >> np.uint32(drop)) & np.uint32(1)  # the last bit kept
    half = np.uint32((1 << (drop - 1)) - 1)
    return ((raw + half + last) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)


print(
    "1/3 with 24, 11 and 8 bits:",
    np.float32(1 / 3),
    rounded(np.float32([1 / 3]), 11)[0],
    rounded(np.float32([1 / 3]), 8)[0],
)
patches = rng.standard_normal((400, 576)).astype(np.float32)  # im2col of a 3×3 convolution with 64 channels
weights = rng.standard_normal((576, 64)).astype(np.float32) * np.float32((2 / 576) ** 0.5)
exact = patches.astype(np.float64) @ weights.astype(np.float64)
errors = {"float32": float(np.abs(patches @ weights - exact).max() / np.abs(exact).max())}
for name, bits in (("TF32", 11), ("bfloat16", 8)):
    product = rounded(patches, bits).astype(np.float64) @ rounded(weights, bits).astype(np.float64)
    errors[name] = float(np.abs(product - exact).max() / np.abs(exact).max())
for name, error in errors.items():
    print(f"{name:9} largest error {error:.1e} of the largest result")
assert errors["float32"] < 2e-6

# %%
# TF32 is off by 0.03 %, bfloat16 by 0.25 %: the factors are rounded, but the products are summed in full precision.
# Training tolerates this, because its gradients differ by far more from one batch to the next. A gradient check does
# not (lesson 2), nor does a comparison of two programs that should agree. So reduced precision is off unless you ask
# for it with ``--precision tf32`` or ``bf16``, and ``scratchnet.precise()`` switches it off together with Winograd.
#
# The same command
# ----------------
# ``scratchnet train … --device gpu`` is the only change. Try it on this machine:

from scratchnet.engine.device import array_module
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.utils.errors import UserError

net = build("deconvnet-small", classes=2, size=32, width=4).allocate(seed=0).train()
images = rng.standard_normal((4, 32, 32, 3)).astype(np.float32)
truth = (images.sum(axis=3) > 0).astype(np.uint8)
loss = PixelLoss(classes=2)


def gradients_on(xp) -> tuple[float, np.ndarray]:
    """Run one forward and backward pass on a device; return loss and all gradients, in the CPU's memory."""
    from scratchnet.arrays import to_host

    net.to(xp).zero_grad()
    value, dscores = loss(net.forward(xp.asarray(images)), xp.asarray(truth))
    net.backward(dscores)
    found = float(value), to_host(net.flat().grads).copy()
    net.to(np)
    return found


on_cpu = gradients_on(np)
print(f"CPU: loss {on_cpu[0]:.4f}, {on_cpu[1].size:,} gradients")
try:
    gpu = array_module("gpu")
except UserError as message:
    gpu = None
    print(message)
    print("with a GPU, this lesson would compute the same loss and gradients there and compare them")
else:
    on_gpu = gradients_on(gpu)
    apart = np.abs(on_gpu[1] - on_cpu[1]).max() / np.abs(on_cpu[1]).max()
    print(f"GPU: loss {on_gpu[0]:.4f}; gradients differ by {apart:.1e} of the largest")
    assert abs(on_gpu[0] - on_cpu[0]) < 1e-3
    assert apart < 1e-2

# %%
# What breaks if …
# ----------------
# **… a thread without work does not exit?** Threads come in whole blocks, so there are more of them than rows. Without
# ``if (row >= rows) return``, the sixth thread reads its row from an image that does not exist. NumPy raises an error:

row, windows_down = 5, 2
try:
    image = x[row // windows_down]
except IndexError as error:
    print(error)
else:
    raise AssertionError("there is one image")

# %%
# A GPU gives no error. It writes beyond the end of the array, and some other layer gets wrong values. For this reason
# the kernels are also compiled for the CPU and run under a tool that checks every memory access:
# see ``tests/engine/cuda``.
#
# **… a value has the wrong type?** A NumPy ``float64`` turns a whole map into ``float64``. On a CPU that takes twice as
# long. A GPU made for graphics has few units for it and is dozens of times slower.

map32 = np.ones(4, np.float32)
print("Python's 0.1:", (0.1 * map32).dtype, "  NumPy's:", (np.float64(0.1) * map32).dtype)
assert (np.float64(0.1) * map32).dtype == np.float64

# %%
# **… sums are also computed with few bits?** Count to a thousand in bfloat16:

count = np.zeros(1, np.float32)
for _ in range(1000):
    count = rounded(count + np.float32(1), 8)
print("a thousand ones in bfloat16:", count[0])
assert count[0] == 256

# %%
# It stops at 256, because 257 needs nine bits. So products may be rounded, but sums must not.
#
# **… a program reads a value after every layer?** The CPU launches work on the GPU and continues, so the work queues
# up. To *read* a value it must wait until all work is done, and meanwhile it launches nothing new. Suppose a launch
# takes 5 µs, its work takes 10 µs, and there are 100 layers:

told = done = 0
for _ in range(100):
    told += 5
    done = max(done, told) + 10
waiting = 100 * (5 + 10)
print(f"queued: {done} µs; read after each: {waiting} µs")

# %%
# 1005 µs against 1500. For this reason the loss stays on the GPU until it is needed.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/22_the_same_on_a_gpu.py``.
#
# 1. A 1×1 convolution goes from c to c channels. How many operations does it do per byte (ignore the weights)? From
#    which c on is the machine above limited by arithmetic rather than memory?
# 2. How many blocks and threads does ``row_launch`` start to unpool a map of 224×224 with 64 channels? How many
#    elements does each thread process?
# 3. Sum 1e8, 1, −1e8, 1 in pairs: first with second, third with fourth, then the two results. What is the result? Why
#    is this order just as good as left to right, as long as it is always the same?
# 4. How far can one count in steps of 1 with 11 bits, and how far with 24?
#
# ``scratchnet exercise start 22`` writes stubs for the work of a thread, for unpooling by gathering and for summation
# in pairs; ``scratchnet exercise check 22`` checks them. Exercise 3 asks for the same sum.
