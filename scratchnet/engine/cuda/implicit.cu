// Convolution with stride 1 as one matrix product whose left side, the matrix of columns, is never written anywhere.
//
//     y[pixel, o] = Σ over kernel rows r, kernel columns s, channels k:  x[pixel + (r, s), k] · weight[r, s, k, o]
//
// The tile.  A block of 256 threads makes 16×16 pixels of OUT channels of the result. What these pixels see of the map,
// 16+KH−1 by 16+KW−1 pixels, is fetched into shared memory 8 channels at a time, with the weights of those channels.
// All KH·KW windows are then read from there: a number of the map comes from memory once a block, not KH·KW times.
//
//     for every 8 channels:  fetch their map and weights │ all wait │ multiply and add, in registers │ all wait
//
// Where the weights of all kernel rows are too many for shared memory, they come GROUP kernel rows at a time.
//
// Who loads what.  Neighbouring threads take neighbouring channels of a pixel, which are neighbours in memory, and put
// each to the plane of its channel: shared memory has the map as (8, rows, columns). Beyond the map's border, beyond its
// last channel and beyond the result's last channel they put zeros.
//
// Who computes what.
//   As it is (FFMA):  a thread makes 8 pixels of a row by OUT/8 channels. It reads a run of 8+KW−1 numbers of a plane
//     into registers, and the KW windows of each pixel are shifts of that run.
//   On tensor cores (TENSOR_CORES):  a warp makes two rows of 16 pixels by OUT channels. The 16 pixels of a row by 8
//     channels are the left side of the tensor core's product of 16×8 by 8×8 numbers. Factors are rounded to TF32 (10
//     bits of mantissa) when they are fetched, sums are float32.
//
// Offsets inside an image and inside the weights are 32 bits: 64 would take the registers that the sums need.
//
// Banks.  Shared memory answers a warp at once when its 32 lanes ask for 32 different banks (addresses modulo 32). In
// the tensor core's layout lane 4g + t asks for channel t, place g: so planes, and rows of weights, begin at distances of
// 8 or 24 modulo 32.
//
// Macros: REAL, KH and KW, OUT (16, 32 or 64), GROUP (divides KH), TENSOR_CORES (0 or 1; REAL must be float).

#define THREADS 256
#define TILE 16
#define DEPTH 8
#define RUN 8
#define SEEN_ROWS (TILE + KH - 1)
#define SEEN_COLUMNS (TILE + KW - 1)
#define PITCH ((SEEN_COLUMNS + 3) / 4 * 4)               // from a row to the next; a multiple of four numbers' load
#define PLANE ((SEEN_ROWS * PITCH + 23) / 32 * 32 + 8)   // from a channel to the next
#define WEIGHTS (OUT + 8)                                // from a channel's weights to the next
#define PIECE (OUT / 8 < 4 ? OUT / 8 : 4)                // channels of a thread that lie side by side
#define TOGETHER (sizeof(REAL) == 4 ? 2 : 1)              // blocks whose registers a multiprocessor must hold

#if TENSOR_CORES && defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800  // before TF32: float32, as cuBLAS does there
#undef TENSOR_CORES
#define TENSOR_CORES 0
#endif

#if TENSOR_CORES
#ifdef __CUDACC__  // two instructions that C++ has no words for
__device__ __forceinline__ float to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
}

// D (16×8) += A (16×8) · B (8×8). Lane 4g + t holds of A rows g and g+8 of column t, then of column t+4; of B rows t and
// t+4 of column g; of D columns 2t and 2t+1 of row g, then of row g+8.
__device__ __forceinline__ void multiply_16_8_8(float* d, const float* a, const float* b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}
#endif
__device__ __forceinline__ REAL rounded(REAL x) { return to_tf32(x); }
#else
__device__ __forceinline__ REAL rounded(REAL x) { return x; }
#endif

// The 8 channels from `first` of what the tile sees; `image` is the whole map (h, w, c).
__device__ __forceinline__ void fetch_map(const REAL* __restrict__ image, REAL* map, int first, int top, int left, int h,
                                          int w, int c) {
#pragma unroll 4
    for (int i = threadIdx.x; i < SEEN_ROWS * SEEN_COLUMNS * DEPTH; i += THREADS) {
        const int k = i % DEPTH, row = i / DEPTH / SEEN_COLUMNS, column = i / DEPTH % SEEN_COLUMNS;
        const int v = top + row, u = left + column;
        const bool inside = first + k < c && v >= 0 && v < h && u >= 0 && u < w;
        map[k * PLANE + row * PITCH + column] = inside ? rounded(image[(v * w + u) * c + first + k]) : REAL(0);
    }
}

// The weights of these channels to channels `out` and following, of GROUP kernel rows from `r` on.
__device__ __forceinline__ void fetch_weights(const REAL* __restrict__ weight, REAL* weights, int first, int out, int r,
                                              int c, int c_out) {
#pragma unroll 2
    for (int i = threadIdx.x; i < GROUP * KW * DEPTH * OUT; i += THREADS) {
        const int o = i % OUT, k = i / OUT % DEPTH, place = i / (OUT * DEPTH);
        const bool inside = first + k < c && out + o < c_out;
        const int at = ((r * KW + place) * c + first + k) * c_out + out + o;
        weights[(place * DEPTH + k) * WEIGHTS + o] = inside ? rounded(weight[at]) : REAL(0);
    }
}

#if TENSOR_CORES

#define SUMS 2 * (OUT / 8) * 4  // two rows of pixels, 8 channels a product, 4 numbers of each product a lane

// `depth` is not needed: beyond the last channel there are zeros.
__device__ __forceinline__ void add_products(REAL* sums, const REAL* map, const REAL* weights, int r, int depth) {
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const REAL* seen = map + t * PLANE + (2 * warp + r) * PITCH + g;
    const REAL* factors = weights + t * WEIGHTS + g;
#pragma unroll
    for (int place = 0; place < GROUP * KW; place++) {
        REAL a[2][4];
#pragma unroll
        for (int i = 0; i < 8; i++)  // row i/4, then pixel g or g+8, then channel t or t+4
            a[i / 4][i % 4] = seen[(i / 4 + place / KW) * PITCH + place % KW + i % 2 * 8 + i % 4 / 2 * 4 * PLANE];
#pragma unroll
        for (int j = 0; j < OUT / 8; j++) {
            REAL b[2];
#pragma unroll
            for (int i = 0; i < 2; i++) b[i] = factors[(place * DEPTH + 4 * i) * WEIGHTS + 8 * j];
#pragma unroll
            for (int i = 0; i < 2; i++) multiply_16_8_8(sums + (i * (OUT / 8) + j) * 4, a[i], b);
        }
    }
}

// Where in the tile the i-th sum of this thread belongs.
__device__ __forceinline__ void find(int i, int& row, int& column, int& o) {
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    row = threadIdx.x / 32 * 2 + i / (OUT / 2);
    column = g + i % 4 / 2 * 8;
    o = i / 4 % (OUT / 8) * 8 + 2 * t + i % 2;
}

#else

#define SUMS RUN * (OUT / 8)

// The i-th channel of a thread: the eight threads of a run take turns piece by piece.
__device__ __forceinline__ int channel(int i) { return (i / PIECE * 8 + threadIdx.x % 8) * PIECE + i % PIECE; }

__device__ __forceinline__ void add_products(REAL* sums, const REAL* map, const REAL* weights, int r, int depth) {
    const REAL* seen = map + (threadIdx.x / 16 + r) * PITCH + threadIdx.x / 8 % 2 * RUN;
#pragma unroll 1
    for (int k = 0; k < depth; k++) {
#pragma unroll
        for (int v = 0; v < GROUP; v++) {
            REAL run[(RUN + KW + 2) / 4 * 4];  // whole loads of four numbers
#pragma unroll
            for (int i = 0; i < (RUN + KW + 2) / 4 * 4; i++) run[i] = seen[k * PLANE + v * PITCH + i];
#pragma unroll
            for (int s = 0; s < KW; s++) {
                REAL factors[OUT / 8];
#pragma unroll
                for (int j = 0; j < OUT / 8; j++) factors[j] = weights[((v * KW + s) * DEPTH + k) * WEIGHTS + channel(j)];
#pragma unroll
                for (int i = 0; i < SUMS; i++) sums[i] += run[i / (OUT / 8) + s] * factors[i % (OUT / 8)];
            }
        }
    }
}

__device__ __forceinline__ void find(int i, int& row, int& column, int& o) {
    row = threadIdx.x / 16;
    column = threadIdx.x / 8 % 2 * RUN + i / (OUT / 8);
    o = channel(i % (OUT / 8));
}

#endif

// A block a tile and OUT channels, those of one tile one after the other: what they fetch is still in the cache.
extern "C" __global__ void __launch_bounds__(THREADS, TOGETHER)
    convolve(const REAL* __restrict__ x, const REAL* __restrict__ weight, const REAL* __restrict__ bias,
             REAL* __restrict__ y, int h, int w, int c, int oh, int ow, int c_out, int ph, int pw, int with_bias) {
    __shared__ __align__(16) REAL map[DEPTH * PLANE];
    __shared__ __align__(16) REAL weights[GROUP * KW * DEPTH * WEIGHTS];
    const int pieces = (c_out + OUT - 1) / OUT, down = (oh + TILE - 1) / TILE, across = (ow + TILE - 1) / TILE;
    const int tile = blockIdx.x / pieces, out = blockIdx.x % pieces * OUT;
    const int image = tile / across / down, top = tile / across % down * TILE, left = tile % across * TILE;

    REAL sums[SUMS];
#pragma unroll
    for (int i = 0; i < SUMS; i++) {
        int row, column, o;
        find(i, row, column, o);
        sums[i] = with_bias && out + o < c_out ? bias[out + o] : REAL(0);
    }
    for (int first = 0; first < c; first += DEPTH) {
        for (int r = 0; r < KH; r += GROUP) {
            __syncthreads();  // no one still reads the last ones
            if (r == 0) fetch_map(x + (long long)image * h * w * c, map, first, top - ph, left - pw, h, w, c);
            fetch_weights(weight, weights, first, out, r, c, c_out);
            __syncthreads();
            add_products(sums, map, weights, r, min(DEPTH, c - first));
        }
    }
    y += (long long)image * oh * ow * c_out;
#pragma unroll
    for (int i = 0; i < SUMS; i++) {
        int row, column, o;
        find(i, row, column, o);
        row += top, column += left, o += out;
        if (row < oh && column < ow && o < c_out)
            y[(row * ow + column) * c_out + o] = sums[i];
    }
}
