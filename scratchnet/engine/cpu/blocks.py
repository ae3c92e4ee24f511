"""Blocks: the boxes of output positions that a large map is cut into.

An operation that works block by block keeps its scratch memory in a core's cache, and its cores share the blocks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A box of output positions: images ``n0 … n1−1``, rows ``r0 … r1−1``, columns ``c0 … c1−1``."""

    n0: int
    n1: int
    r0: int
    r1: int
    c0: int
    c1: int


def blocks(n: int, oh: int, ow: int, limit: int, parts: int = 1) -> list[Block]:
    """Cut ``n`` maps of ``oh × ow`` positions into boxes of at most ``limit`` positions (at least one).

    A box holds whole images if several fit, else rows of one image, else part of one row, so that the scratch memory of
    an operation that works box by box does not grow with the image. All boxes have about the same size, and there are
    at least ``parts`` of them if possible, so that this many threads can work.
    """
    if n == 0:
        return []
    limit = max(1, min(limit, -(-n * oh * ow // parts)))
    columns = _even(ow, limit)
    rows = _even(oh, limit // columns)
    images = _even(n, limit // (rows * columns)) if rows == oh else 1
    return [
        Block(n0, min(n, n0 + images), r0, min(oh, r0 + rows), c0, min(ow, c0 + columns))
        for n0 in range(0, n, images)
        for r0 in range(0, oh, rows)
        for c0 in range(0, ow, columns)
    ]


def _even(total: int, most: int) -> int:
    """Return the size of equal pieces of ``total``, at most ``most`` each."""
    pieces = -(-total // max(1, min(total, most)))
    return -(-total // pieces)
