// Depthwise convolution: every channel by itself, no matrix product, kh·kw multiplications a number.
//
// One thread makes one number of the result, and a block a piece of one row of pixels. Neighbouring threads have
// neighbouring channels of the same window, so that each step of the loop over the window reads one run of the map and
// one of the weights (kh, kw, c).

#define SIZES                                                                                                     \
    int rows, int h, int w, int c, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw

extern "C" __global__ void depthwise(const REAL* __restrict__ x, const REAL* __restrict__ weight,
                                     REAL* __restrict__ y, SIZES) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·oh rows of windows
    if (row >= rows) return;
    const int top = row % oh * sh - ph;
    const REAL* image = x + (long long)(row / oh) * h * w * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < ow * c; i += gridDim.y * blockDim.x) {
        const int left = i / c * sw - pw, channel = i % c;
        REAL sum = 0;
        for (int r = 0; r < kh; r++) {
            const int v = top + r * dh;
            if (v < 0 || v >= h) continue;
            for (int s = 0; s < kw; s++) {
                const int u = left + s * dw;
                if (u >= 0 && u < w)
                    sum += image[((long long)v * w + u) * c + channel] * weight[(r * kw + s) * c + channel];
            }
        }
        y[(long long)row * ow * c + i] = sum;
    }
}

// A pixel gathers from the windows that saw it: output row o saw it by kernel row r when o·sh + r·dh − ph is its row.
extern "C" __global__ void depthwise_input_gradient(const REAL* __restrict__ dy, const REAL* __restrict__ weight,
                                                    REAL* __restrict__ dx, SIZES) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·h rows of pixels
    if (row >= rows) return;
    const int v = row % h + ph;
    const REAL* image = dy + (long long)(row / h) * oh * ow * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < w * c; i += gridDim.y * blockDim.x) {
        const int u = i / c + pw, channel = i % c;
        REAL sum = 0;
        for (int r = 0; r < kh && r * dh <= v; r++) {
            const int o = (v - r * dh) / sh;
            if (o >= oh || o * sh != v - r * dh) continue;
            for (int s = 0; s < kw && s * dw <= u; s++) {
                const int q = (u - s * dw) / sw;
                if (q < ow && q * sw == u - s * dw)
                    sum += image[((long long)o * ow + q) * c + channel] * weight[(r * kw + s) * c + channel];
            }
        }
        dx[(long long)row * w * c + i] = sum;
    }
}

// First stage of the gradient by the weight: for a chunk of output pixels, up to 32 channels and one kernel number a
// block, the sum of x·dy, to parts (chunks, kh·kw, c). The rows of threads are added up in pairs, always in the same
// order; the second stage is that of sums.cu.
extern "C" __global__ void depthwise_weight_gradient(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                                     double* __restrict__ parts, int pixels, int chunk, SIZES) {
    __shared__ double shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    const int r = blockIdx.z / kw * dh - ph, s = blockIdx.z % kw * dw - pw;
    const long long end = min((long long)(blockIdx.y + 1) * chunk, (long long)pixels);
    REAL sum = 0;
    for (long long p = (long long)blockIdx.y * chunk + threadIdx.y; p < end && channel < c; p += blockDim.y) {
        const int v = (int)p / ow % oh * sh + r, u = (int)p % ow * sw + s;
        if (v >= 0 && v < h && u >= 0 && u < w)
            sum += dy[p * c + channel] * x[(((long long)((int)p / ow / oh) * h + v) * w + u) * c + channel];
    }
    const int me = threadIdx.y * blockDim.x + threadIdx.x;
    shared[me] = sum;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) shared[me] += shared[me + half * blockDim.x];
    }
    if (threadIdx.y > 0 || channel >= c) return;
    parts[((long long)blockIdx.y * gridDim.z + blockIdx.z) * c + channel] = shared[me];
}
