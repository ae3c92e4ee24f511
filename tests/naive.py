"""The slow twins: every operation once more, in loops that can be checked by eye.

They have the signatures of their fast twins in ``scratchnet.ops`` and count in float64. Nothing here uses the package's
arithmetic; only the record of the switches is shared. Gradients are written from the chain rule, one pixel at a time,
never from the closed formulas that the package uses.
"""

import math
from itertools import product

import numpy as np

from scratchnet.ops.switches import Switches


def both(value):
    return (value, value) if isinstance(value, int) else tuple(value)


# Convolution -----------------------------------------------------------------------------------------------------


def meetings(out_size, in_size, kernel, stride, padding, dilation):
    """Yield (o, q, i, j, r, s): output pixel (o, q) meets input pixel (r, s) through kernel tap (i, j)."""
    (sh, sw), (ph, pw), (dh, dw) = both(stride), both(padding), both(dilation)
    for o, q, i, j in product(*map(range, (*out_size, *kernel))):
        r, s = o * sh + i * dh - ph, q * sw + j * dw - pw
        if 0 <= r < in_size[0] and 0 <= s < in_size[1]:
            yield o, q, i, j, r, s


def channel_groups(count, groups):
    """Return the slice of channels of each group."""
    each = count // groups
    return [slice(g * each, (g + 1) * each) for g in range(groups)]


def count_windows(size, kernel, stride, padding, dilation=1):
    """Slide a window along the padded axis until it falls off the end."""
    return len(range(0, size + 2 * padding - dilation * (kernel - 1), stride))


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel, c_out = weight.shape[:2], weight.shape[3]
    size = [
        count_windows(*axis)
        for axis in zip(x.shape[1:3], kernel, both(stride), both(padding), both(dilation), strict=True)
    ]
    y = np.zeros((x.shape[0], *size, c_out))
    for o, q, i, j, r, s in meetings(size, x.shape[1:3], kernel, stride, padding, dilation):
        for a, b in zip(channel_groups(x.shape[3], groups), channel_groups(c_out, groups), strict=True):
            y[:, o, q, b] += x[:, r, s, a].astype(np.float64) @ weight[i, j, :, b].astype(np.float64)
    return y if bias is None else y + bias


def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    dx, dweight = np.zeros(x.shape), np.zeros(weight.shape)
    c_out = weight.shape[3]
    for o, q, i, j, r, s in meetings(dy.shape[1:3], x.shape[1:3], weight.shape[:2], stride, padding, dilation):
        for a, b in zip(channel_groups(x.shape[3], groups), channel_groups(c_out, groups), strict=True):
            for n in range(len(x)):
                dx[n, r, s, a] += weight[i, j, :, b].astype(np.float64) @ dy[n, o, q, b]
                dweight[i, j, :, b] += np.outer(x[n, r, s, a].astype(np.float64), dy[n, o, q, b])
    return dx, dweight, dy.sum((0, 1, 2), dtype=np.float64)


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    n, h, w, c_in = x.shape
    kh, kw, each, _ = weight.shape
    size = [
        (v - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for v, k, s, p, d, e in zip(
            (h, w), (kh, kw), both(stride), both(padding), both(dilation), both(output_padding), strict=True
        )
    ]
    y = np.zeros((n, *size, each * groups))
    for o, q, i, j, r, s in meetings((h, w), size, (kh, kw), stride, padding, dilation):
        for a, b in zip(channel_groups(c_in, groups), channel_groups(each * groups, groups), strict=True):
            y[:, r, s, b] += x[:, o, q, a].astype(np.float64) @ weight[i, j, :, a].astype(np.float64).T
    return y if bias is None else y + bias


def conv_transpose2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    dx, dweight = np.zeros(x.shape), np.zeros(weight.shape)
    for o, q, i, j, r, s in meetings(x.shape[1:3], dy.shape[1:3], weight.shape[:2], stride, padding, dilation):
        for a, b in zip(channel_groups(x.shape[3], groups), channel_groups(dy.shape[3], groups), strict=True):
            for n in range(len(x)):
                dx[n, o, q, a] += dy[n, r, s, b].astype(np.float64) @ weight[i, j, :, a]
                dweight[i, j, :, a] += np.outer(dy[n, r, s, b].astype(np.float64), x[n, o, q, a])
    return dx, dweight, dy.sum((0, 1, 2), dtype=np.float64)


# Pooling ---------------------------------------------------------------------------------------------------------


def pool_starts(size, kernel, stride, padding, ceil_mode):
    """Return the first row of each window (negative in the padding)."""
    starts, start = [], -padding
    while start + kernel <= size + padding:
        starts.append(start)
        start += stride
    reached = starts[-1] + kernel == size + padding
    if ceil_mode and not reached and start < size:  # rows are left over, and a window of them would hold real pixels
        starts.append(start)
    return starts


def max_pool2d(x, kernel, stride=None, padding=0, ceil_mode=False):
    kernel = both(kernel)
    stride, padding = both(kernel if stride is None else stride), both(padding)
    n, h, w, c = x.shape
    rows = pool_starts(h, kernel[0], stride[0], padding[0], ceil_mode)
    cols = pool_starts(w, kernel[1], stride[1], padding[1], ceil_mode)
    y, index = np.empty((n, len(rows), len(cols), c)), np.empty((n, len(rows), len(cols), c), int)
    for m, (o, top), (q, left), a in product(range(n), enumerate(rows), enumerate(cols), range(c)):
        best = None
        for i, j in product(range(kernel[0]), range(kernel[1])):
            inside = 0 <= top + i < h and 0 <= left + j < w
            if inside and (best is None or x[m, top + i, left + j, a] > best):
                best = x[m, top + i, left + j, a]
                index[m, o, q, a] = i * kernel[1] + j
        y[m, o, q, a] = best
    return y, Switches(index, (h, w), kernel, stride, padding)


def switch_pixels(switches):
    """Yield (place in the pooled map, place in the map before pooling) of every switch."""
    for m, o, q, a in product(*map(range, switches.index.shape)):
        i, j = divmod(int(switches.index[m, o, q, a]), switches.kernel[1])
        row = o * switches.stride[0] - switches.padding[0] + i
        col = q * switches.stride[1] - switches.padding[1] + j
        yield (m, o, q, a), (m, row, col, a)


def max_unpool2d(x, switches):
    y = np.zeros((x.shape[0], *switches.size, x.shape[3]))
    for small, large in switch_pixels(switches):
        y[large] += x[small]
    return y


def max_unpool2d_backward(dy, switches):
    dx = np.zeros(switches.index.shape)
    for small, large in switch_pixels(switches):
        dx[small] = dy[large]
    return dx


# Upsampling ------------------------------------------------------------------------------------------------------


def neighbours(size, new):
    """Return, for every new pixel of an axis, the two old pixels that it lies between and how much of each it takes."""
    result = []
    for o in range(new):
        position = min(max((o + 0.5) * size / new - 0.5, 0), size - 1)
        low = math.floor(position)
        high = min(low + 1, size - 1)
        result.append(((low, 1 - (position - low)), (high, position - low)))
    return result


def upsample_bilinear(x, size):
    n, h, w, c = x.shape
    y = np.zeros((n, *size, c))
    for (o, rows), (q, cols) in product(enumerate(neighbours(h, size[0])), enumerate(neighbours(w, size[1]))):
        for (r, a), (s, b) in product(rows, cols):
            y[:, o, q] += a * b * x[:, r, s]
    return y


def upsample_bilinear_backward(dy, size):
    n, oh, ow, c = dy.shape
    dx = np.zeros((n, *size, c))
    for (o, rows), (q, cols) in product(enumerate(neighbours(size[0], oh)), enumerate(neighbours(size[1], ow))):
        for (r, a), (s, b) in product(rows, cols):
            dx[:, r, s] += a * b * dy[:, o, q]
    return dx


# Normalisation ---------------------------------------------------------------------------------------------------


def batch_norm(x, gamma, beta, eps=1e-5):
    y = np.zeros(x.shape)
    for c in range(x.shape[3]):
        v = x[..., c].astype(np.float64)
        mean = sum(v.ravel()) / v.size
        variance = sum((v.ravel() - mean) ** 2) / v.size
        y[..., c] = gamma[c] * (v - mean) / math.sqrt(variance + eps) + beta[c]
    return y


def batch_norm_backward(dy, x, gamma, eps=1e-5):
    """Go back through the computation step by step: scale, quotient, variance, mean."""
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(x.shape[3]), np.zeros(x.shape[3])
    for c in range(x.shape[3]):
        v, g = x[..., c].astype(np.float64), dy[..., c].astype(np.float64)
        centred, count = v - v.mean(), v.size
        std = math.sqrt((centred**2).mean() + eps)
        dgamma[c], dbeta[c] = (g * centred / std).sum(), g.sum()
        dhat = g * gamma[c]
        dvariance = (dhat * centred).sum() * -0.5 * std**-3
        dmean = -(dhat / std).sum() + dvariance * (-2 * centred).mean()
        dx[..., c] = dhat / std + dvariance * 2 * centred / count + dmean / count
    return dx, dgamma, dbeta


def response_scale(pixel, b, size, alpha, k):
    """Return k + α/size · Σ x² over the channels round channel b."""
    total = 0.0
    for a in range(max(0, b - size // 2), min(len(pixel), b + size // 2 + 1)):
        total += float(pixel[a]) ** 2
    return k + alpha / size * total


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    y, scale = np.zeros(x.shape), np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        scale[place] = response_scale(x[place[:3]], place[3], size, alpha, k)
        y[place] = float(x[place]) / scale[place] ** beta
    return y, scale


def local_response_norm_backward(dy, x, scale, size=5, alpha=1e-4, beta=0.75):
    """Multiply by the whole Jacobian of every pixel: the derivative of output channel b by input channel a."""
    dx = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:3]):
        for a, b in product(range(x.shape[3]), repeat=2):
            derivative = 0.0
            if a == b:
                derivative += scale[place][b] ** -beta
            if abs(a - b) <= size // 2:
                slope = 2 * alpha / size * float(x[place][a])
                derivative -= float(x[place][b]) * beta * scale[place][b] ** (-beta - 1) * slope
            dx[place][a] += derivative * dy[place][b]
    return dx


# Losses ----------------------------------------------------------------------------------------------------------


def softmax(z):
    e = [math.exp(float(v)) for v in z]
    return np.array([v / sum(e) for v in e])


def softmax_cross_entropy(logits, labels, factors):
    loss, dlogits = 0.0, np.zeros(logits.shape)
    for place in np.ndindex(labels.shape):
        p, t = softmax(logits[place]), labels[place]
        loss -= factors[place] * math.log(p[t])
        for j in range(len(p)):
            dlogits[place][j] = factors[place] * (p[j] - (1 if j == t else 0))
    return loss, dlogits


def sigmoid_cross_entropy(logits, labels, factors):
    loss, dlogits = 0.0, np.zeros(logits.shape)
    for place in np.ndindex(labels.shape):
        p = 1 / (1 + math.exp(-float(logits[place][0])))
        t = labels[place]
        loss -= factors[place] * math.log(p if t == 1 else 1 - p)
        dlogits[place][0] = factors[place] * (p - t)
    return loss, dlogits


def dice_loss(logits, labels, factors, smooth=1.0):
    binary = logits.shape[-1] == 1
    scored = [1] if binary else list(range(logits.shape[-1]))
    p = np.zeros((*labels.shape, max(2, logits.shape[-1])))
    for place in np.ndindex(labels.shape):
        p[place] = softmax([0.0, float(logits[place][0])] if binary else logits[place])
    counted = [place for place in np.ndindex(labels.shape) if factors[place] != 0]
    loss, dp = 1.0, np.zeros(p.shape)
    for c in scored:
        overlap = sum(p[place][c] for place in counted if labels[place] == c)
        predicted = sum(p[place][c] for place in counted)
        true = sum(1 for place in counted if labels[place] == c)
        top, bottom = 2 * overlap + smooth, predicted + true + smooth
        loss -= top / bottom / len(scored)
        for place in counted:
            dtop = 2 if labels[place] == c else 0
            dp[place][c] = -(dtop * bottom - top) / bottom**2 / len(scored)
    dlogits = np.zeros(logits.shape)
    for place in np.ndindex(labels.shape):
        jacobian = np.diag(p[place]) - np.outer(p[place], p[place])
        dz = jacobian @ dp[place]
        dlogits[place] = dz[1:] if binary else dz
    return loss, dlogits
