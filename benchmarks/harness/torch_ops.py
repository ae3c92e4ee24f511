"""Single operations in PyTorch, in either memory layout; the backward passes are autograd's."""

from collections.abc import Callable
from typing import Any

from benchmarks.harness.op_cases import OpCase, OpImplementation, OpKind, draw_labels
from scratchnet.arrays import Array


def implement(case: OpCase, channels_last: bool) -> OpImplementation:
    """Return PyTorch's implementation."""
    import torch

    if case.kind in ("sgd", "adam"):
        return _update(case)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    tensors = [
        _tensor(array, kernel=i > 0 and case.kind != "unpool", layout=layout)
        for i, array in enumerate(case.draw_inputs())
    ]
    forward = FORWARDS[case.kind](case, *tensors)
    learned = [t for t in tensors if case.kind != "unpool" or t is tensors[0]]
    if case.kind == "loss":

        def both() -> Any:
            value = forward()
            return value, *torch.autograd.grad(value, learned)

        return OpImplementation({"with gradient": both}, lambda: [_array(t) for t in both()])
    dy = _tensor(case.draw_gradient(), kernel=False, layout=layout).detach()
    y = forward()

    def backward() -> Any:
        return torch.autograd.grad(y, learned, dy, retain_graph=True)

    return OpImplementation(
        {"forward": forward, "backward": backward},
        lambda: [_array(y), *(_array(t, kernel=i > 0) for i, t in enumerate(backward()))],
    )


def _tensor(array: Array, kernel: bool, layout: Any) -> Any:
    """Return a tensor that requires a gradient: a map (n, c, h, w), a kernel (c_out, c_in, kh, kw), or a vector."""
    import torch

    if array.ndim == 4:
        axes = (3, 2, 0, 1) if kernel else (0, 3, 1, 2)
        return torch.from_numpy(array.transpose(axes)).clone(memory_format=layout).requires_grad_()
    return torch.from_numpy(array).clone().requires_grad_()


def _array(tensor: Any, kernel: bool = False) -> Array:
    """Return a tensor as an array in scratchnet's layout."""
    if tensor.ndim == 4:
        tensor = tensor.permute(2, 3, 1, 0) if kernel else tensor.permute(0, 2, 3, 1)
    array: Array = tensor.detach().numpy()
    return array


def _functional() -> Any:
    import torch

    return torch.nn.functional


def _conv(case: OpCase, x: Any, weight: Any, bias: Any) -> Callable[[], Any]:
    conv2d = _functional().conv2d
    return lambda: conv2d(x, weight, bias, **case.settings)


def _deconv(case: OpCase, x: Any, weight: Any, bias: Any) -> Callable[[], Any]:
    conv_transpose2d = _functional().conv_transpose2d
    return lambda: conv_transpose2d(x, weight, bias, **case.settings)


def _max_pool(case: OpCase, x: Any) -> Callable[[], Any]:
    max_pool2d = _functional().max_pool2d
    return lambda: max_pool2d(x, 2, return_indices=True)[0]


def _unpool(case: OpCase, x: Any, pooled: Any) -> Callable[[], Any]:
    functional = _functional()
    _, indices = functional.max_pool2d(pooled.detach(), 2, return_indices=True)
    return lambda: functional.max_unpool2d(x, indices, 2)


def _batch_norm(case: OpCase, x: Any, gamma: Any, beta: Any) -> Callable[[], Any]:
    batch_norm = _functional().batch_norm
    return lambda: batch_norm(x, None, None, gamma, beta, training=True)


def _relu(case: OpCase, x: Any) -> Callable[[], Any]:
    relu = _functional().relu
    return lambda: relu(x)


def _loss(case: OpCase, logits: Any) -> Callable[[], Any]:
    import torch

    functional = _functional()
    target = torch.from_numpy(draw_labels(case).astype("i8"))
    if logits.shape[1] > 1:
        return lambda: functional.cross_entropy(logits, target)
    truth = target[:, None].to(logits.dtype)
    return lambda: functional.binary_cross_entropy_with_logits(logits, truth)


def _update(case: OpCase) -> OpImplementation:
    """Return PyTorch's fused optimiser on one long vector, its fastest implementation."""
    import torch

    values, grads = (torch.from_numpy(array) for array in case.draw_inputs())
    values.requires_grad_()
    values.grad = grads
    kind = torch.optim.SGD if case.kind == "sgd" else torch.optim.Adam
    settings = {"momentum": 0.9} if case.kind == "sgd" else {}
    optimizer = kind([values], 1e-4, fused=True, **settings)

    def results() -> list[Array]:
        optimizer.step()
        return [_array(values)]

    return OpImplementation({"update": optimizer.step}, results)


FORWARDS: dict[OpKind, Callable[..., Callable[[], Any]]] = {
    "conv": _conv,
    "deconv": _deconv,
    "max-pool": _max_pool,
    "unpool": _unpool,
    "batch norm": _batch_norm,
    "relu": _relu,
    "loss": _loss,
}
