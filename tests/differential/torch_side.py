"""PyTorch's side of a comparison: float64 tensors with their axes in PyTorch's order, and back."""

import numpy as np


def tensor(x, learn=True):
    """Return a float64 tensor with the array's axes."""
    import torch

    return torch.tensor(np.array(x, np.float64, order="C"), requires_grad=learn)


def planes(x, learn=True):
    """(n, h, w, c) → (n, c, h, w)."""
    return tensor(np.transpose(x, (0, 3, 1, 2)), learn)


def kernels(w):
    """(kh, kw, a, b) → (b, a, kh, kw)."""
    return tensor(np.transpose(w, (3, 2, 0, 1)))


def maps(t):
    """(n, c, h, w) → array (n, h, w, c)."""
    return t.detach().numpy().transpose(0, 2, 3, 1)


def weights(t):
    """(b, a, kh, kw) → array (kh, kw, a, b)."""
    return t.detach().numpy().transpose(2, 3, 1, 0)


def plain(t):
    """Return the array of a tensor."""
    return t.detach().numpy()


def gradient(t):
    """Return a tensor's gradient, 0 where nothing came to it."""
    return t.new_zeros(t.shape) if t.grad is None else t.grad
