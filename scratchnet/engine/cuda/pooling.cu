// Max-pooling with switches, unpooling, and reading at the switches, for maps (n, h, w, c) with the channels last.
//
// One thread makes one number of the result. A block of threads works on a piece of one row of pixels: ow·c numbers
// that lie side by side. Neighbouring threads have neighbouring channels of the same window, so that each step of the
// loop over the window reads one run of memory, and the whole window is read from memory once and its switch written
// with its maximum, in a single pass.
//
// REAL is float or double. A switch is one byte, or two for windows of more than 256 positions.
#if SWITCH_BYTES == 1
typedef unsigned char Switch;
#else
typedef unsigned short Switch;
#endif

// Window o along one axis begins at pixel o·stride − padding. These are the first window that holds a pixel and, if any
// does, the last: window o holds it when 0 ≤ pixel + padding − o·stride < kernel.
__device__ int first_window(int pixel, int kernel, int stride, int padding) {
    return pixel + padding < kernel ? 0 : (pixel + padding - kernel) / stride + 1;
}

__device__ int last_window(int pixel, int windows, int stride, int padding) {
    return min(windows - 1, (pixel + padding) / stride);
}

extern "C" __global__ void max_pool(const REAL* __restrict__ x, REAL* __restrict__ y, Switch* __restrict__ index,
                                    int rows, int h, int w, int c, int oh, int ow, int kh, int kw, int sh, int sw,
                                    int ph, int pw) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·oh rows of windows
    if (row >= rows) return;
    const int top = row % oh * sh - ph;
    const REAL* image = x + (long long)(row / oh) * h * w * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < ow * c; i += gridDim.y * blockDim.x) {
        const int left = i / c * sw - pw, channel = i % c;
        REAL best = -1 / REAL(0);  // padding is −∞: leaving it out is enough
        int where = max(0, -top) * kw + max(0, -left);  // a pixel, even if all are −∞
        for (int r = max(0, -top); r < min(kh, h - top); r++) {
            for (int s = max(0, -left); s < min(kw, w - left); s++) {
                const REAL value = image[((long long)(top + r) * w + left + s) * c + channel];
                if (value > best || value != value) {  // the first maximum wins a tie, the last NaN wins over all
                    best = value;
                    where = r * kw + s;
                }
            }
        }
        y[(long long)row * ow * c + i] = best;
        index[(long long)row * ow * c + i] = where;
    }
}

// A pixel sums the values of the windows that chose it. Most pixels lie in one window, where windows overlap in a few.
extern "C" __global__ void max_unpool(const REAL* __restrict__ x, const Switch* __restrict__ index,
                                      REAL* __restrict__ y, int rows, int h, int w, int c, int oh, int ow, int kh,
                                      int kw, int sh, int sw, int ph, int pw) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·h rows of pixels
    if (row >= rows) return;
    const int v = row % h;
    const int o_first = first_window(v, kh, sh, ph), o_last = last_window(v, oh, sh, ph);
    const long long image = (long long)(row / h) * oh * ow * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < w * c; i += gridDim.y * blockDim.x) {
        const int u = i / c, channel = i % c;
        const int q_first = first_window(u, kw, sw, pw), q_last = last_window(u, ow, sw, pw);
        REAL sum = 0;
        for (int o = o_first; o <= o_last; o++) {
            for (int q = q_first; q <= q_last; q++) {
                const long long window = image + ((long long)o * ow + q) * c + channel;
                const int here = (v + ph - o * sh) * kw + (u + pw - q * sw);
                if (index[window] == here) sum += x[window];
            }
        }
        y[(long long)row * w * c + i] = sum;
    }
}

// Every window reads its one pixel.
extern "C" __global__ void max_unpool_backward(const REAL* __restrict__ dy, const Switch* __restrict__ index,
                                               REAL* __restrict__ dx, int rows, int h, int w, int c, int oh, int ow,
                                               int kh, int kw, int sh, int sw, int ph, int pw) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·oh rows of windows
    if (row >= rows) return;
    const int top = row % oh * sh - ph;
    const REAL* image = dy + (long long)(row / oh) * h * w * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < ow * c; i += gridDim.y * blockDim.x) {
        const long long window = (long long)row * ow * c + i;
        const int where = index[window];
        const int v = top + where / kw, u = i / c * sw - pw + where % kw;
        const bool inside = v >= 0 && v < h && u >= 0 && u < w;
        dx[window] = inside ? image[((long long)v * w + u) * c + i % c] : REAL(0);
    }
}
