"""Fast forms of the operations and everything that runs them: dispatch, CPU, CUDA, memory, capture."""
