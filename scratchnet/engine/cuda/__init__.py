"""CUDA kernels and matrix products for arrays on a GPU.

Every ``.cu`` file here is one idea in CUDA C, and the Python file of the same name launches its kernels. Its functions
have the names and arguments of those in :mod:`scratchnet.ops` that they replace. The kernels

- *gather*: a thread owns one element of the result, finds the inputs it depends on, and writes once. No thread adds to
  memory that another thread may add to, so the same input gives the same bits in every run;
- assign neighbouring elements to neighbouring threads. A *warp* is 32 threads that run together; when they read 32
  adjacent elements, the memory answers with one transfer. With channels last, neighbours in memory are channels of
  a pixel, followed by those of the next pixel;
- count rows of a map in 32 bits and elements in 64, so that an array may have more than 2³¹ of them.

CuPy compiles the source at its first use and caches the result. The sources are plain enough to run on a CPU as well,
which is how they are tested on machines without a GPU.
"""
