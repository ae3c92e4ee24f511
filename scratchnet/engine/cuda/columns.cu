// im2col and col2im for channels-last maps: the copying round a convolution's matrix product.
//
// A row of the matrix of columns is what one output pixel sees, kh·kw·c numbers in the order (kernel row, kernel
// column, channel). Without a dilation the kw·c numbers of a kernel row lie side by side in the map and in the matrix,
// so a warp, which copies 32 neighbours, moves one run of memory. col2im gathers: a thread owns a number of the map and
// sums all entries of the matrix that came from it, instead of adding entry by entry to places that other threads add
// to.

// One block works on a few rows of the matrix, or on a piece of one.
extern "C" __global__ void im2col(const REAL* __restrict__ x, REAL* __restrict__ columns, int rows, int h, int w, int c,
                                  int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·oh·ow output pixels
    if (row >= rows) return;
    const int top = row / ow % oh * sh - ph, left = row % ow * sw - pw;
    const REAL* image = x + (long long)(row / ow / oh) * h * w * c;
    const int width = kh * kw * c;
    REAL* out = columns + (long long)row * width;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < width; i += gridDim.y * blockDim.x) {
        const int tap = i / c, v = top + tap / kw * dh, u = left + tap % kw * dw;
        const bool inside = v >= 0 && v < h && u >= 0 && u < w;
        out[i] = inside ? image[((long long)v * w + u) * c + i % c] : REAL(0);
    }
}

// One block works on a piece of one row of pixels. Kernel row i of output row o lies on map row o·sh + i·dh − ph.
extern "C" __global__ void col2im(const REAL* __restrict__ columns, REAL* __restrict__ dx, int rows, int h, int w,
                                  int c, int oh, int ow, int kh, int kw, int sh, int sw, int ph, int pw, int dh,
                                  int dw) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·h rows of pixels
    if (row >= rows) return;
    const int v = row % h + ph;
    const long long image = (long long)(row / h) * oh * ow * kh * kw * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < w * c; i += gridDim.y * blockDim.x) {
        const int u = i / c + pw, channel = i % c;
        REAL sum = 0;
        for (int r = 0; r < kh && r * dh <= v; r++) {
            const int o = (v - r * dh) / sh;
            if (o >= oh || o * sh != v - r * dh) continue;
            for (int s = 0; s < kw && s * dw <= u; s++) {
                const int q = (u - s * dw) / sw;
                if (q >= ow || q * sw != u - s * dw) continue;
                sum += columns[image + ((((long long)o * ow + q) * kh + r) * kw + s) * c + channel];
            }
        }
        dx[(long long)row * w * c + i] = sum;
    }
}
