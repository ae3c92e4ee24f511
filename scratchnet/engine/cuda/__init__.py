"""CUDA kernels and matrix products for arrays on a GPU.

Every ``.cu`` file here is one idea in CUDA C, and the Python file of the same name launches its kernels: functions with
the names and arguments of those in :mod:`scratchnet.ops` that they replace. The kernels

- *gather*: a thread owns one number of the result, finds what belongs to it, and writes once. Nothing is added to
  memory that another thread may add to, so that the same input gives the same bits on every run;
- give neighbouring threads neighbouring numbers. A *warp* is 32 threads that run together; when they read 32 numbers
  that lie side by side, the memory answers with one transfer. With channels last, neighbours in memory are channels of
  a pixel, and then the next pixel's;
- count rows of a map in 32 bits and numbers in 64, so that an array may have more than 2³¹ of them.

CuPy compiles the source at its first use and keeps the result. The sources are plain enough to run on a CPU as well,
which is how they are tested where there is no GPU.
"""
