"""Fast CPU forms of the operations: blocks that fit a cache, distributed over the cores."""
