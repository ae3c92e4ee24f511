"""Data sets that are drawn: squares, cells and shapes."""
