"""Generated data sets: squares, cells and shapes."""
