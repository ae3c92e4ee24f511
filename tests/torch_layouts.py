"""Between this package's channels-last NumPy arrays and PyTorch's channels-first tensors. Imports PyTorch late."""

import numpy as np


def tensor(array, learn=True):
    """Return a tensor with the array's axes, which collects a gradient."""
    import torch

    return torch.tensor(np.ascontiguousarray(array), requires_grad=learn)


def planes(array, learn=True):
    """(n, h, w, c) → tensor (n, c, h, w)."""
    return tensor(array.transpose(0, 3, 1, 2), learn)


def kernels(weight):
    """(kh, kw, c_in, c_out) → tensor (c_out, c_in, kh, kw), transposed convolutions alike."""
    return tensor(weight.transpose(3, 2, 0, 1))


def maps(t):
    """Tensor (n, c, h, w) → (n, h, w, c)."""
    return t.detach().numpy().transpose(0, 2, 3, 1)


def weights(t):
    """Tensor (c_out, c_in, kh, kw) → (kh, kw, c_in, c_out)."""
    return t.detach().numpy().transpose(2, 3, 1, 0)
