"""NumPy's random bits on any device.

A counter-based generator has no sequential state: number i is a scrambled i, so all values of an array can be drawn in
parallel, in any order, also on a GPU. Philox turns a counter of four 64-bit words into four random words in ten rounds
of two multiplications, whose upper and lower halves are swapped:

    x₀ x₁ x₂ x₃  →  hi(M₁·x₂) ⊕ x₁ ⊕ k₀,  lo(M₁·x₂),  hi(M₀·x₀) ⊕ x₃ ⊕ k₁,  lo(M₀·x₀)

``numpy.random.Philox`` does the same in C; this is array code, so that dropout drops the same elements on a GPU.

Reference: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011), section 3.3.
"""

from collections.abc import Mapping
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array

ROUNDS = 10
FACTORS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
"""M₀ and M₁."""
KEY_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
"""Added to the two words of the key after every round."""
PER_BLOCK = 8
"""32-bit values per block of four words."""

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], xp: ModuleType) -> Array:
    """Return ``rng.random(shape, numpy.float32)`` as an array of ``xp``, and advance ``rng`` accordingly.

    Parameters
    ----------
    rng : Generator
        On a Philox bit generator that has drawn less than 2⁶⁴ words since its counter was 0.
    shape : tuple of int
    xp : module
        NumPy or CuPy.

    Examples
    --------
    >>> one, other = (np.random.Generator(np.random.Philox(7)) for _ in range(2))
    >>> bool((uniform(one, (3, 5), np) == other.random((3, 5), np.float32)).all())
    True
    """
    state = rng.bit_generator.state
    begin = _drawn(state)
    end = begin + prod(shape)
    first = begin // PER_BLOCK
    bits = words(state["state"]["key"], first, -(-end // PER_BLOCK) - first, xp).view(xp.uint32)
    chosen = bits[begin - PER_BLOCK * first : end - PER_BLOCK * first]
    rng.bit_generator.state = _after(state, end)
    values: Array = (chosen >> np.uint32(8)).astype(xp.float32) * np.float32(2**-24)
    return values.reshape(shape)


def skip(rng: np.random.Generator, count: int) -> None:
    """Advance ``rng``, a generator as for :func:`uniform`, by ``count`` 32-bit values in constant time."""
    state = rng.bit_generator.state
    rng.bit_generator.state = _after(state, _drawn(state) + count)


def words(key: Array, first: int, count: int, xp: ModuleType) -> Array:
    """Return the words of ``count`` blocks from block ``first`` (from 0) on, (4 · count,) uint64."""
    x0 = xp.arange(first + 1, first + 1 + count, dtype=xp.uint64)  # the counter is incremented before use
    x1 = x2 = x3 = xp.zeros_like(x0)
    k0, k1 = map(int, key)
    for _ in range(ROUNDS):
        (high0, low0), (high1, low1) = _product(FACTORS[0], x0), _product(FACTORS[1], x2)
        x0, x1, x2, x3 = high1 ^ x1 ^ np.uint64(k0), low1, high0 ^ x3 ^ np.uint64(k1), low0
        k0, k1 = ((k + step) % 2**64 for k, step in zip((k0, k1), KEY_STEPS, strict=True))
    block: Array = xp.stack([x0, x1, x2, x3], axis=1)
    return block.reshape(-1)


def _product(factor: int, x: Array) -> tuple[Array, Array]:
    """Return the upper and the lower 64 bits of ``factor · x``, from products of 32-bit halves."""
    f0, f1, x0, x1 = np.uint64(factor & 0xFFFFFFFF), np.uint64(factor >> 32), x & _LOW, x >> _HALF
    middle = x0 * f1 + (x0 * f0 >> _HALF)
    other = x1 * f0 + (middle & _LOW)
    high: Array = x1 * f1 + (middle >> _HALF) + (other >> _HALF)
    low: Array = x * np.uint64(factor)  # modulo 2⁶⁴
    return high, low


def _drawn(state: Mapping[str, Any]) -> int:
    """Return how many 32-bit values a bit generator has drawn; a word holds two, and one may be unused."""
    left = 4 - int(state["buffer_pos"])
    return 2 * (4 * int(state["state"]["counter"][0]) - left) - int(state["has_uint32"])


def _after(state: Mapping[str, Any], drawn: int) -> dict[str, Any]:
    """Return the state after ``drawn`` 32-bit values."""
    taken = -(-drawn // 2)  # words
    counter = -(-taken // 4)
    buffer = words(state["state"]["key"], max(0, counter - 1), 1, np)
    position = taken - 4 * (counter - 1) if counter else 4
    return {
        **state,
        "state": {**state["state"], "counter": np.array([counter, 0, 0, 0], np.uint64)},
        "buffer": buffer,
        "buffer_pos": position,
        "has_uint32": drawn % 2,
        "uinteger": int(buffer[position - 1] >> _HALF),
    }
