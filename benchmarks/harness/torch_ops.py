"""Single operations as PyTorch computes them, in either layout; backward passes are autograd's."""

from collections.abc import Callable
from typing import Any

from benchmarks.harness.op_cases import Kind, Problem, Solution, labels
from scratchnet.arrays import Array


def solve(problem: Problem, channels_last: bool) -> Solution:
    """Set up PyTorch's functions."""
    import torch

    if problem.kind in ("sgd", "adam"):
        return _update(problem)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    tensors = [
        _tensor(array, kernel=i > 0 and problem.kind != "unpool", layout=layout)
        for i, array in enumerate(problem.inputs())
    ]
    forward = FORWARDS[problem.kind](problem, *tensors)
    learned = [t for t in tensors if problem.kind != "unpool" or t is tensors[0]]
    if problem.kind == "loss":

        def both() -> Any:
            value = forward()
            return value, *torch.autograd.grad(value, learned)

        return Solution({"with gradient": both}, lambda: [_array(t) for t in both()])
    dy = _tensor(problem.gradient(), kernel=False, layout=layout).detach()
    y = forward()

    def backward() -> Any:
        return torch.autograd.grad(y, learned, dy, retain_graph=True)

    return Solution(
        {"forward": forward, "backward": backward},
        lambda: [_array(y), *(_array(t, kernel=i > 0) for i, t in enumerate(backward()))],
    )


def _tensor(array: Array, kernel: bool, layout: Any) -> Any:
    """Return a tensor that collects a gradient: a map (n, c, h, w), a kernel (c_out, c_in, kh, kw), or a vector."""
    import torch

    if array.ndim == 4:
        axes = (3, 2, 0, 1) if kernel else (0, 3, 1, 2)
        return torch.from_numpy(array.transpose(axes)).clone(memory_format=layout).requires_grad_()
    return torch.from_numpy(array).clone().requires_grad_()


def _array(tensor: Any, kernel: bool = False) -> Array:
    """Return a tensor as an array in this package's layout."""
    if tensor.ndim == 4:
        tensor = tensor.permute(2, 3, 1, 0) if kernel else tensor.permute(0, 2, 3, 1)
    array: Array = tensor.detach().numpy()
    return array


def _functional() -> Any:
    import torch

    return torch.nn.functional


def _conv(problem: Problem, x: Any, weight: Any, bias: Any) -> Callable[[], Any]:
    conv2d = _functional().conv2d
    return lambda: conv2d(x, weight, bias, **problem.settings)


def _deconv(problem: Problem, x: Any, weight: Any, bias: Any) -> Callable[[], Any]:
    conv_transpose2d = _functional().conv_transpose2d
    return lambda: conv_transpose2d(x, weight, bias, **problem.settings)


def _max_pool(problem: Problem, x: Any) -> Callable[[], Any]:
    max_pool2d = _functional().max_pool2d
    return lambda: max_pool2d(x, 2, return_indices=True)[0]


def _unpool(problem: Problem, x: Any, pooled: Any) -> Callable[[], Any]:
    functional = _functional()
    _, indices = functional.max_pool2d(pooled.detach(), 2, return_indices=True)
    return lambda: functional.max_unpool2d(x, indices, 2)


def _batch_norm(problem: Problem, x: Any, gamma: Any, beta: Any) -> Callable[[], Any]:
    batch_norm = _functional().batch_norm
    return lambda: batch_norm(x, None, None, gamma, beta, training=True)


def _relu(problem: Problem, x: Any) -> Callable[[], Any]:
    relu = _functional().relu
    return lambda: relu(x)


def _loss(problem: Problem, logits: Any) -> Callable[[], Any]:
    import torch

    functional = _functional()
    target = torch.from_numpy(labels(problem).astype("i8"))
    if logits.shape[1] > 1:
        return lambda: functional.cross_entropy(logits, target)
    truth = target[:, None].to(logits.dtype)
    return lambda: functional.binary_cross_entropy_with_logits(logits, truth)


def _update(problem: Problem) -> Solution:
    """PyTorch's fused optimisers, on one long vector: their fastest form."""
    import torch

    values, grads = (torch.from_numpy(array) for array in problem.inputs())
    values.requires_grad_()
    values.grad = grads
    kind = torch.optim.SGD if problem.kind == "sgd" else torch.optim.Adam
    settings = {"momentum": 0.9} if problem.kind == "sgd" else {}
    optimizer = kind([values], 1e-4, fused=True, **settings)

    def results() -> list[Array]:
        optimizer.step()
        return [_array(values)]

    return Solution({"update": optimizer.step}, results)


FORWARDS: dict[Kind, Callable[..., Callable[[], Any]]] = {
    "conv": _conv,
    "deconv": _deconv,
    "max-pool": _max_pool,
    "unpool": _unpool,
    "batch norm": _batch_norm,
    "relu": _relu,
    "loss": _loss,
}
