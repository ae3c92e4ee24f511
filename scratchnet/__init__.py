"""scratchnet: deconvolution networks for semantic segmentation, every layer written by hand.

Arrays are channels last. The same letters mean the same thing in every file:

======= ==========================================================
n       images in a batch
h, w    height and width of a map, in pixels
c       channels (``c_in`` and ``c_out`` where a layer changes them)
kh, kw  height and width of a kernel or pooling window
s, p, d stride, padding, dilation
oh, ow  height and width of an output map
======= ==========================================================
"""

from scratchnet.modes import precise, textbook

__version__ = "0.1.0"
__all__ = ["precise", "textbook"]
