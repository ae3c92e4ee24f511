// Copying between maps (n, h, w, c) and the same maps with zeros round them, for convolutions by shifted products.
//
// The bordered map is a list of rows of `grid_w` pixels: `front` rows of zeros, then `grid_h` rows an image, of which the
// first h hold the image, and zeros to the end. The zeros behind one row stand in front of the next as well, and so do
// those under an image. One block copies a piece of one row; neighbouring threads copy neighbouring numbers.

extern "C" __global__ void put_border(const REAL* __restrict__ x, REAL* __restrict__ bordered, int rows, int front,
                                      int grid_h, int grid_w, int n, int h, int w, int c) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    const int at = row - front, image = at / grid_h, v = at % grid_h;
    const bool inside = at >= 0 && image < n && v < h;
    const REAL* source = x + ((long long)image * h + v) * w * c;
    REAL* out = bordered + (long long)row * grid_w * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < grid_w * c; i += gridDim.y * blockDim.x)
        out[i] = inside && i < w * c ? source[i] : REAL(0);
}

// The other way, for a map whose images take grid_h × grid_w pixels; the bias, where there is one, is added on the way.
extern "C" __global__ void cut_border(const REAL* __restrict__ bordered, const REAL* __restrict__ bias,
                                      REAL* __restrict__ y, int rows, int grid_h, int grid_w, int h, int w, int c,
                                      int with_bias) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;  // n·h rows of pixels
    if (row >= rows) return;
    const REAL* source = bordered + ((long long)(row / h) * grid_h + row % h) * grid_w * c;
    REAL* out = y + (long long)row * w * c;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < w * c; i += gridDim.y * blockDim.x)
        out[i] = with_bias ? source[i] + bias[i % c] : source[i];
}
