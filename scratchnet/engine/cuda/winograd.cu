// The transforms of Winograd's F(4×4, 3×3); the 36 matrix products between them are cuBLAS's. The formulas and their
// source stand in ops/winograd.py.
//
// A thread takes one channel of one tile (or of one kernel): it reads its 36 pixels, 16 gradients or 9 kernel numbers
// into registers, transforms rows and columns there, and writes what becomes of them to 36 matrices (tiles, c), one a
// frequency. Neighbouring threads have neighbouring channels, in the map as in the matrices, so that each of these
// reads and writes is one run of memory. The matrices of constants are written out as the additions that they are,
// because most of their numbers are 0 or ±1.

// Bᵀ·d: 6 pixels, `s` apart in memory, → 6 frequencies, `ts` apart.
__device__ void input_step(const REAL* d, int s, REAL* t, int ts) {
    const REAL a = d[4 * s] - 4 * d[2 * s], b = d[3 * s] - 4 * d[s], e = d[4 * s] - d[2 * s], f = 2 * (d[3 * s] - d[s]);
    t[0] = 4 * d[0] - 5 * d[2 * s] + d[4 * s];
    t[ts] = a + b;
    t[2 * ts] = a - b;
    t[3 * ts] = e + f;
    t[4 * ts] = e - f;
    t[5 * ts] = 4 * d[s] - 5 * d[3 * s] + d[5 * s];
}

// Aᵀ·m: 6 frequencies → 4 pixels.
__device__ void output_step(const REAL* m, int s, REAL* t, int ts) {
    const REAL a = m[s] + m[2 * s], b = m[s] - m[2 * s], e = m[3 * s] + m[4 * s], f = m[3 * s] - m[4 * s];
    t[0] = m[0] + a + e;
    t[ts] = b + 2 * f;
    t[2 * ts] = a + 4 * e;
    t[3 * ts] = b + 8 * f + m[5 * s];
}

// A·g: 4 gradients → 6 frequencies, the transpose of the above.
__device__ void gradient_step(const REAL* g, int s, REAL* t, int ts) {
    const REAL even = g[0] + g[2 * s], odd = g[s] + g[3 * s];
    const REAL even2 = g[0] + 4 * g[2 * s], odd2 = 2 * g[s] + 8 * g[3 * s];
    t[0] = g[0];
    t[ts] = even + odd;
    t[2 * ts] = even - odd;
    t[3 * ts] = even2 + odd2;
    t[4 * ts] = even2 - odd2;
    t[5 * ts] = g[3 * s];
}

// G·g: 3 kernel numbers → 6 frequencies.
__device__ void kernel_step(const REAL* g, int s, REAL* t, int ts) {
    const REAL ends = g[0] + g[2 * s], far = g[0] + 4 * g[2 * s], near = 2 * g[s];
    t[0] = g[0] / 4;
    t[ts] = -(ends + g[s]) / 6;
    t[2 * ts] = -(ends - g[s]) / 6;
    t[3 * ts] = (far + near) / 24;
    t[4 * ts] = (far - near) / 24;
    t[5 * ts] = g[2 * s];
}

// Gᵀ·m: 6 frequencies → 3 kernel numbers, the transpose of the above.
__device__ void kernel_gradient_step(const REAL* m, int s, REAL* t, int ts) {
    const REAL a = (m[s] + m[2 * s]) / 6, b = (m[s] - m[2 * s]) / 6;
    const REAL e = (m[3 * s] + m[4 * s]) / 24, f = (m[3 * s] - m[4 * s]) / 24;
    t[0] = m[0] / 4 - a + e;
    t[ts] = -b + 2 * f;
    t[2 * ts] = -a + 4 * e + m[5 * s];
}

// Tile number `tile` counts along rows of tiles, then down, then from image to image.
struct Place {
    int image, top, left;
};

__device__ Place place(int tile, int down, int across) {
    return {tile / across / down, 4 * (tile / across % down), 4 * (tile % across)};
}

// x (n, h, w, c) → tiles (36, count, c). Pixels outside the map are 0, and so are tiles beyond the last image.
extern "C" __global__ void transform_input(const REAL* __restrict__ x, REAL* __restrict__ tiles, int count, int down,
                                           int across, int n, int h, int w, int c, int ph, int pw) {
    const int tile = blockIdx.x * blockDim.y + threadIdx.y;
    if (tile >= count) return;
    const Place at = place(tile, down, across);
    const int top = at.top - ph, left = at.left - pw;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < c; i += gridDim.y * blockDim.x) {
        const REAL* image = x + (long long)at.image * h * w * c + i;
        REAL d[36], t[36];
#pragma unroll
        for (int r = 0; r < 6; r++)
#pragma unroll
            for (int s = 0; s < 6; s++) {
                const bool inside =
                    at.image < n && top + r >= 0 && top + r < h && left + s >= 0 && left + s < w;
                d[6 * r + s] = inside ? image[((long long)(top + r) * w + left + s) * c] : REAL(0);
            }
#pragma unroll
        for (int s = 0; s < 6; s++) input_step(d + s, 6, t + s, 6);
#pragma unroll
        for (int r = 0; r < 6; r++) {
            REAL full[6];
            input_step(t + 6 * r, 1, full, 1);
#pragma unroll
            for (int s = 0; s < 6; s++) tiles[((6ll * r + s) * count + tile) * c + i] = full[s];
        }
    }
}

// dy (n, h, w, c) → tiles (36, count, c).
extern "C" __global__ void transform_gradient(const REAL* __restrict__ dy, REAL* __restrict__ tiles, int count,
                                              int down, int across, int n, int h, int w, int c) {
    const int tile = blockIdx.x * blockDim.y + threadIdx.y;
    if (tile >= count) return;
    const Place at = place(tile, down, across);
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < c; i += gridDim.y * blockDim.x) {
        const REAL* image = dy + (long long)at.image * h * w * c + i;
        REAL g[16], t[24];
#pragma unroll
        for (int r = 0; r < 4; r++)
#pragma unroll
            for (int s = 0; s < 4; s++) {
                const bool inside = at.image < n && at.top + r < h && at.left + s < w;
                g[4 * r + s] = inside ? image[((long long)(at.top + r) * w + at.left + s) * c] : REAL(0);
            }
#pragma unroll
        for (int s = 0; s < 4; s++) gradient_step(g + s, 4, t + s, 4);
#pragma unroll
        for (int r = 0; r < 6; r++) {
            REAL full[6];
            gradient_step(t + 4 * r, 1, full, 1);
#pragma unroll
            for (int s = 0; s < 6; s++) tiles[((6ll * r + s) * count + tile) * c + i] = full[s];
        }
    }
}

// tiles (36, count, c) → y (n, h, w, c), and the bias where there is one.
extern "C" __global__ void transform_output(const REAL* __restrict__ tiles, const REAL* __restrict__ bias,
                                            REAL* __restrict__ y, int count, int down, int across, int h, int w, int c,
                                            int with_bias) {
    const int tile = blockIdx.x * blockDim.y + threadIdx.y;
    if (tile >= count) return;
    const Place at = place(tile, down, across);
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < c; i += gridDim.y * blockDim.x) {
        REAL* image = y + (long long)at.image * h * w * c + i;
        const REAL b = with_bias ? bias[i] : REAL(0);
        REAL m[36], t[24];
#pragma unroll
        for (int k = 0; k < 36; k++) m[k] = tiles[((long long)k * count + tile) * c + i];
#pragma unroll
        for (int s = 0; s < 6; s++) output_step(m + s, 6, t + s, 6);
#pragma unroll
        for (int r = 0; r < 4; r++) {
            REAL full[4];
            output_step(t + 6 * r, 1, full, 1);
#pragma unroll
            for (int s = 0; s < 4; s++)
                if (at.top + r < h && at.left + s < w)
                    image[((long long)(at.top + r) * w + at.left + s) * c] = full[s] + b;
        }
    }
}

// weight (3, 3, pairs) → kernels (36, pairs), a pair of an input and an output channel; turned by 180° where asked for.
extern "C" __global__ void transform_kernel(const REAL* __restrict__ weight, REAL* __restrict__ kernels, int pairs,
                                            int turned) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pairs) return;
    REAL g[9], t[18];
#pragma unroll
    for (int k = 0; k < 9; k++) g[k] = weight[(long long)(turned ? 8 - k : k) * pairs + i];
#pragma unroll
    for (int s = 0; s < 3; s++) kernel_step(g + s, 3, t + s, 3);
#pragma unroll
    for (int r = 0; r < 6; r++) {
        REAL full[6];
        kernel_step(t + 3 * r, 1, full, 1);
#pragma unroll
        for (int s = 0; s < 6; s++) kernels[(6ll * r + s) * pairs + i] = full[s];
    }
}

// products (36, pairs) → dweight (3, 3, pairs).
extern "C" __global__ void transform_kernel_gradient(const REAL* __restrict__ products, REAL* __restrict__ dweight,
                                                     int pairs) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pairs) return;
    REAL m[36], t[18];
#pragma unroll
    for (int k = 0; k < 36; k++) m[k] = products[(long long)k * pairs + i];
#pragma unroll
    for (int s = 0; s < 6; s++) kernel_gradient_step(m + s, 6, t + s, 6);
#pragma unroll
    for (int r = 0; r < 3; r++) {
        REAL full[3];
        kernel_gradient_step(t + 6 * r, 1, full, 1);
#pragma unroll
        for (int s = 0; s < 3; s++) dweight[(3ll * r + s) * pairs + i] = full[s];
    }
}
