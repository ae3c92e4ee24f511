"""PyTorch's convolutions (cuDNN's) on a GPU, for the layers and precisions of ``gpu_forms.py``.

Both layouts are measured, and cuDNN selects its fastest algorithm. In bfloat16, PyTorch's maps and weights are stored
in half the space, as in its mixed precision; scratchnet's remain float32.
"""

from statistics import median

LAYOUTS = {"cuDNN": "contiguous_format", "cuDNN channels_last": "channels_last"}


def measure_layer(n, size, c, c_out, precisions, device="cuda"):
    """Yield rows like those of ``gpu_forms.measure_layer``; none if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return
    torch.backends.cudnn.benchmark = True
    for precision in precisions:
        for backend in (torch.backends.cudnn, torch.backends.cuda.matmul):
            backend.allow_tf32 = precision != "float32"
        for name, layout in LAYOUTS.items():
            settings = {"device": device, "dtype": torch.bfloat16 if precision == "bf16" else torch.float32}
            shapes = (n, c, size, size), (n, c_out, size, size), (c_out, c, 3, 3)
            maps = (torch.randn(shape, **settings) for shape in shapes)
            calls = convolution(torch, *(a.contiguous(memory_format=getattr(torch, layout)) for a in maps))
            times = [milliseconds(torch, call) for call in calls]
            yield {"layer": [n, size, c, c_out], "precision": precision, "form": name, "milliseconds": times}
    if device == "cuda":
        torch.cuda.empty_cache()


def convolution(torch, x, dy, weight):
    """Return functions for the forward pass and for the gradients with respect to weight and input."""
    bias = torch.randn(weight.shape[0], device=x.device, dtype=x.dtype)

    def back(which):
        ones, no = [1, 1], [0, 0]
        return torch.ops.aten.convolution_backward(dy, x, weight, None, ones, ones, ones, False, no, 1, which)

    return (
        lambda: torch.nn.functional.conv2d(x, weight, bias, padding=1),
        lambda: back([False, True, False]),
        lambda: back([True, False, False]),
    )


def milliseconds(torch, call, repeats=5):
    """Return the median time of a call by CUDA events, without the first calls, which select algorithms."""
    times = []
    for _ in range(repeats + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return median(times[2:])
