// The copying round convolutions by shifted products (see shifted.py), between maps (n, h, w, c) and a grid with places
// for zeros between the pixels' rows and between the images.
//
// The grid is a list of rows of `grid_w` places: perhaps some rows of zeros, then `grid_h` rows an image, of which the
// first h begin with the image's w pixels, and zeros to the end. The zeros behind one row stand in front of the next as
// well, and so do those under an image. One block works on a piece of one row; neighbouring threads copy neighbouring
// numbers.

// A map → its grid, behind `front` rows of zeros.
extern "C" __global__ void put_border(const REAL* __restrict__ x, REAL* __restrict__ grid, int rows, int front,
                                      int grid_h, int grid_w, int n, int h, int w, int c) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    const int at = row - front, image = at / grid_h, v = at % grid_h;
    const bool inside = at >= 0 && image < n && v < h;
    const REAL* source = x + ((long long)image * h + v) * w * c;
    REAL* out = grid + (long long)row * grid_w * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < grid_w * c; i += gridDim.y * blockDim.x)
        out[i] = inside && i < w * c ? source[i] : REAL(0);
}

// Products of every place with each of kh kernel rows (places, kh, c) → the convolution: for every pixel the sum of its
// own product with kernel row 0, that of the place `step` rows below with kernel row 1, and so on; and the bias.
extern "C" __global__ void add_kernel_rows(const REAL* __restrict__ products, const REAL* __restrict__ bias,
                                           REAL* __restrict__ y, int rows, int grid_h, int grid_w, int h, int w, int c,
                                           int kh, int step, int with_bias) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·h rows of pixels
    if (row >= rows) return;
    const long long place = ((long long)(row / h) * grid_h + row % h) * grid_w;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < w * c; i += gridDim.y * blockDim.x) {
        const int channel = i % c;
        REAL sum = with_bias ? bias[channel] : REAL(0);
        for (int k = 0; k < kh; k++)
            sum += products[((place + (long long)k * step * grid_w + i / c) * kh + k) * c + channel];
        y[(long long)row * w * c + i] = sum;
    }
}

// The other way: a gradient dy → (places, kh, c), at every place the gradients of the pixels that its products went to.
extern "C" __global__ void stack_kernel_rows(const REAL* __restrict__ dy, REAL* __restrict__ stacked, int rows,
                                             int grid_h, int grid_w, int n, int h, int w, int c, int kh, int step) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    REAL* out = stacked + (long long)row * grid_w * kh * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < grid_w * kh * c; i += gridDim.y * blockDim.x) {
        const int u = i / (kh * c), at = row - i / c % kh * step, image = at / grid_h, v = at % grid_h;
        const bool inside = at >= 0 && image < n && v < h && u < w;
        out[i] = inside ? dy[(((long long)image * h + v) * w + u) * c + i % c] : REAL(0);
    }
}
