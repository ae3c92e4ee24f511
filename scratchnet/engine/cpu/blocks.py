"""Blocks: the boxes of output positions that a large map is cut into.

An operation that works block by block keeps its scratch memory in a core's cache, and its cores share the blocks.
"""

from dataclasses import dataclass, replace
from math import gcd

from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class Block:
    """A box of output positions: images ``n0 … n1−1``, rows ``r0 … r1−1``, columns ``c0 … c1−1``."""

    n0: int
    n1: int
    r0: int
    r1: int
    c0: int
    c1: int


def blocks(n: int, oh: int, ow: int, limit: int, cores: int = 1, per_core: int = 1) -> list[Block]:
    """Cut ``n`` maps of ``oh × ow`` positions into boxes of at most ``limit`` positions (at least one).

    A box holds whole images if several fit, else rows of one image, else part of one row, so that the scratch memory of
    an operation that works box by box does not grow with the image. All boxes have about the same size. If possible
    there are at least ``per_core`` for each core, and the same number for all cores.
    """
    if n == 0:
        return []
    limit = max(1, min(limit, -(-n * oh * ow // (cores * per_core))))
    across = count_pieces(ow, limit)
    down = count_pieces(oh, limit // -(-ow // across))
    images = count_pieces(n, limit // (oh * -(-ow // across))) if down == 1 else n
    if images < n:
        images = count_pieces(n, -(-n // images), cores, across)
    else:
        down = count_pieces(oh, -(-oh // down), cores, n * across)
    return [
        Block(n0, n1, r0, r1, c0, c1)
        for n0, n1 in cut_evenly(n, images)
        for r0, r1 in cut_evenly(oh, down)
        for c0, c1 in cut_evenly(ow, across)
    ]


def row_blocks(n: int, h: int, w: int, rows: int, cores: int) -> list[Block]:
    """Cut ``n`` maps of ``h × w`` positions into boxes of at most ``rows`` whole rows (at least one), as above."""
    return [replace(block, c1=w) for block in blocks(n, h, 1, rows, cores)]


def count_pieces(total: int, most: int, cores: int = 1, others: int = 1) -> int:
    """Return the number of pieces of ``total`` with at most ``most`` each.

    If possible, the cores can share ``others`` times as many pieces without a remainder.
    """
    pieces = -(-total // max(1, min(total, most)))
    step = cores // gcd(cores, others)
    multiple = -(-pieces // step) * step
    return multiple if multiple <= total else pieces


def cut_evenly(total: int, pieces: int) -> list[Pair]:
    """Return the bounds of pieces of about the same size; small and large ones alternate."""
    return [(i * total // pieces, (i + 1) * total // pieces) for i in range(pieces)]
