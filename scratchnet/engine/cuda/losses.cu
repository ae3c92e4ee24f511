// Softmax cross-entropy and its gradient by the logits in one pass over (pixels, classes).
//
// One thread takes one pixel. Its logits lie side by side, so the threads of a warp would read memory `classes` numbers
// apart; therefore the block first copies the logits of all its pixels to shared memory, neighbours to neighbours,
// works there, and copies the gradient back in the same way. `pitch` is the distance between two pixels in shared
// memory: an odd number, because shared memory has 32 banks that serve one number each at a time, and with an odd
// distance the 32 threads of a warp meet 32 different banks.
//
// The loss is summed in two stages, always in the same order: each block adds up its pixels in pairs and leaves one
// number; one block then adds those.

#define TILE (40960 / sizeof(REAL))

// Adds one number of every thread of a block; blockDim.x is a power of two.
__device__ double add_up(double mine, double* shared) {
    shared[threadIdx.x] = mine;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    return shared[0];
}

extern "C" __global__ void softmax_cross_entropy(const REAL* __restrict__ logits, const long long* __restrict__ labels,
                                                 const REAL* __restrict__ factors, REAL* __restrict__ dlogits,
                                                 double* __restrict__ parts, long long pixels, int classes,
                                                 int pitch) {
    __shared__ REAL tile[TILE];
    __shared__ double sums[256];
    const long long first = (long long)blockIdx.x * blockDim.x;
    const int here = (int)min((long long)blockDim.x, pixels - first);
    for (int i = threadIdx.x; i < here * classes; i += blockDim.x)
        tile[i / classes * pitch + i % classes] = logits[first * classes + i];
    __syncthreads();

    double loss = 0;
    if (threadIdx.x < here) {
        REAL* z = tile + threadIdx.x * pitch;
        const long long label = labels[first + threadIdx.x];
        const REAL factor = factors[first + threadIdx.x];
        REAL largest = z[0];
        for (int k = 1; k < classes; k++) largest = max(largest, z[k]);
        const REAL truth = label >= 0 && label < classes ? z[label] : REAL(0) / REAL(0);  // NaN for what is no label
        REAL total = 0;
        for (int k = 0; k < classes; k++) {
            z[k] = exp(z[k] - largest);
            total += z[k];
        }
        // A pixel that does not count adds 0, even if its logits are infinite or NaN.
        for (int k = 0; k < classes; k++) z[k] = factor == 0 ? REAL(0) : (z[k] / total - REAL(k == label)) * factor;
        loss = factor == 0 ? REAL(0) : (log(total) - (truth - largest)) * factor;
    }
    loss = add_up(loss, sums);
    if (threadIdx.x == 0) parts[blockIdx.x] = loss;
    for (int i = threadIdx.x; i < here * classes; i += blockDim.x)
        dlogits[first * classes + i] = tile[i / classes * pitch + i % classes];
}

// Second stage, one block.
extern "C" __global__ void add_parts(const double* __restrict__ parts, double* __restrict__ loss, int count) {
    __shared__ double sums[256];
    double mine = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) mine += parts[i];
    mine = add_up(mine, sums);
    if (threadIdx.x == 0) *loss = mine;
}
