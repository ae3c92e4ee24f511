// Batch normalisation with the ReLU behind it, for maps of `pixels` × c numbers, the channels last.
//
// Statistics are sums over all pixels, one a channel, in two stages. In the first, a block takes up to 32 channels and
// a chunk of pixels: blockDim.x threads stand side by side on the channels, so that a warp reads neighbours, and
// blockDim.y rows of threads go through the pixels of the chunk. The rows are then added up in shared memory, pairs
// first, always in the same order. In the second stage one block per group of channels does the same with the chunks'
// results. No atomic additions: their order, and so their rounding, would change from run to run.

// The statistics of some numbers: how many, their mean, and the sum of the squared distances from it. Two of these are
// joined without the cancellation that Σx² − (Σx)² suffers from (Chan, Golub, LeVeque 1983).
struct Moments {
    double count, mean, squares;
};

__device__ Moments join(Moments a, Moments b) {
    const double count = a.count + b.count;
    if (count == 0) return a;
    const double distance = b.mean - a.mean, share = b.count / count;
    return {count, a.mean + distance * share, a.squares + b.squares + distance * distance * a.count * share};
}

// Joins what the rows of threads of a block have found; the result stands in row 0.
__device__ Moments join_rows(Moments mine, Moments* shared) {
    const int me = threadIdx.y * blockDim.x + threadIdx.x;
    shared[me] = mine;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) shared[me] = join(shared[me], shared[me + half * blockDim.x]);
    }
    return shared[me];
}

// Adds what the rows of threads of a block have found, two sums at a time.
__device__ double2 add_rows(double2 mine, double2* shared) {
    const int me = threadIdx.y * blockDim.x + threadIdx.x;
    shared[me] = mine;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
            shared[me].x += shared[me + half * blockDim.x].x;
            shared[me].y += shared[me + half * blockDim.x].y;
        }
    }
    return shared[me];
}

// First stage: mean and Σ(x − mean)² of every chunk, to parts (chunks, 2, c).
extern "C" __global__ void chunk_moments(const REAL* __restrict__ x, double* __restrict__ parts, long long pixels,
                                         int chunk, int c) {
    __shared__ Moments shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    const long long first = (long long)blockIdx.y * chunk + threadIdx.y;
    const long long end = min((long long)(blockIdx.y + 1) * chunk, pixels);
    Moments mine = {0, 0, 0};
    if (channel < c && first < end) {
        // Sums round a value near the mean stay small: that of about eight numbers, because a single one may be far away.
        const long long apart = (end - first) / (8 * blockDim.y) * blockDim.y + blockDim.y;
        REAL sum = 0, squares = 0;
        int count = 0;
        for (long long p = first; p < end; p += apart, count++) sum += x[p * c + channel];
        const REAL near = sum / count;
        sum = count = 0;
        for (long long p = first; p < end; p += blockDim.y) {
            const REAL distance = x[p * c + channel] - near;
            sum += distance;
            squares += distance * distance;
            count++;
        }
        mine = {(double)count, near + (double)sum / count, max(0.0, squares - (double)sum * sum / count)};
    }
    mine = join_rows(mine, shared);
    if (threadIdx.y == 0 && channel < c) {
        parts[(2ll * blockIdx.y) * c + channel] = mine.mean;
        parts[(2ll * blockIdx.y + 1) * c + channel] = mine.squares;
    }
}

// Second stage: the mean and variance of all pixels, and from them y = scale·x + shift.
extern "C" __global__ void finish_moments(const double* __restrict__ parts, REAL* __restrict__ mean,
                                          REAL* __restrict__ variance, long long pixels, int chunks, int chunk, int c) {
    __shared__ Moments shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    Moments mine = {0, 0, 0};
    for (int k = threadIdx.y; k < chunks && channel < c; k += blockDim.y) {
        const double count = (double)min((long long)chunk, pixels - (long long)k * chunk);
        mine = join(mine, {count, parts[2ll * k * c + channel], parts[(2ll * k + 1) * c + channel]});
    }
    mine = join_rows(mine, shared);
    if (threadIdx.y == 0 && channel < c) {
        mean[channel] = mine.mean;
        variance[channel] = mine.squares / mine.count;
    }
}

// y = γ·(x − mean)/σ + β is scale·x + shift with two numbers a channel; one thread makes both.
extern "C" __global__ void scale_and_shift(const REAL* __restrict__ gamma, const REAL* __restrict__ beta,
                                           const REAL* __restrict__ mean, const REAL* __restrict__ variance,
                                           REAL* __restrict__ inverse_std, REAL* __restrict__ scale,
                                           REAL* __restrict__ shift, REAL eps, int c) {
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= c) return;
    inverse_std[channel] = 1 / sqrt(variance[channel] + eps);
    scale[channel] = gamma[channel] * inverse_std[channel];
    shift[channel] = beta[channel] - mean[channel] * scale[channel];
}

// One block works on a piece of one row of pixels.
extern "C" __global__ void apply(const REAL* __restrict__ x, REAL* __restrict__ y, const REAL* __restrict__ scale,
                                 const REAL* __restrict__ shift, int rows, int width, int c, int relu) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < width; i += gridDim.y * blockDim.x) {
        const long long at = (long long)row * width + i;
        const REAL value = fma(scale[i % c], x[at], shift[i % c]);
        y[at] = relu && value < 0 ? REAL(0) : value;
    }
}

// The gradient behind the ReLU. Whether it let a number pass is computed again from x, exactly as in the forward pass:
// that costs one multiplication and saves reading y.
__device__ REAL behind_relu(REAL dy, REAL x, REAL scale, REAL shift, int relu) {
    return relu && fma(scale, x, shift) <= 0 ? REAL(0) : dy;  // NaN lets it pass, as in PyTorch
}

// First stage of the backward pass: Σ dz and Σ dz·(x − mean) of every chunk, to parts (chunks, 2, c).
extern "C" __global__ void chunk_slopes(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                        const REAL* __restrict__ mean, const REAL* __restrict__ scale,
                                        const REAL* __restrict__ shift, double* __restrict__ parts, long long pixels,
                                        int chunk, int c, int relu) {
    __shared__ double2 shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    const long long end = min((long long)(blockIdx.y + 1) * chunk, pixels);
    REAL sum = 0, product = 0;
    if (channel < c) {
        const REAL m = mean[channel], a = scale[channel], b = shift[channel];
        for (long long p = (long long)blockIdx.y * chunk + threadIdx.y; p < end; p += blockDim.y) {
            const REAL value = x[p * c + channel], dz = behind_relu(dy[p * c + channel], value, a, b, relu);
            sum += dz;
            product += dz * (value - m);
        }
    }
    const double2 both = add_rows({(double)sum, (double)product}, shared);
    if (threadIdx.y == 0 && channel < c) {
        parts[(2ll * blockIdx.y) * c + channel] = both.x;
        parts[(2ll * blockIdx.y + 1) * c + channel] = both.y;
    }
}

// Second stage: dβ = Σ dz, dγ = Σ dz·(x − mean)/σ, and the a and b of dx = scale·dz + a·x + b. With fixed statistics,
// which do not depend on x, a and b are 0.
extern "C" __global__ void finish_slopes(const double* __restrict__ parts, const REAL* __restrict__ mean,
                                         const REAL* __restrict__ inverse_std, const REAL* __restrict__ scale,
                                         REAL* __restrict__ dgamma, REAL* __restrict__ dbeta, REAL* __restrict__ a,
                                         REAL* __restrict__ b, long long pixels, int chunks, int c, int fixed) {
    __shared__ double2 shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    double2 both = {0, 0};
    for (int k = threadIdx.y; k < chunks && channel < c; k += blockDim.y) {
        both.x += parts[2ll * k * c + channel];
        both.y += parts[(2ll * k + 1) * c + channel];
    }
    both = add_rows(both, shared);
    if (threadIdx.y > 0 || channel >= c) return;
    const double s = inverse_std[channel], slope = fixed ? 0 : -scale[channel] * s * s * both.y / pixels;
    dbeta[channel] = both.x;
    dgamma[channel] = both.y * s;
    a[channel] = slope;
    b[channel] = fixed ? 0 : -scale[channel] * both.x / pixels - slope * mean[channel];
}

extern "C" __global__ void combine(const REAL* __restrict__ dy, const REAL* __restrict__ x,
                                   const REAL* __restrict__ scale, const REAL* __restrict__ shift,
                                   const REAL* __restrict__ a, const REAL* __restrict__ b, REAL* __restrict__ dx,
                                   int rows, int width, int c, int relu) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < width; i += gridDim.y * blockDim.x) {
        const long long at = (long long)row * width + i;
        const int channel = i % c;
        const REAL dz = behind_relu(dy[at], x[at], scale[channel], shift[channel], relu);
        dx[at] = fma(scale[channel], dz, fma(a[channel], x[at], b[channel]));
    }
}
