// Sums over all pixels, one a channel, for `pixels` × c numbers with the channels last: two stages, as in batch norm's
// statistics. In the first a block takes up to 32 channels and a chunk of pixels; blockDim.x threads stand side by side
// on the channels and read neighbours, blockDim.y rows of threads go through the pixels and are then added up in pairs,
// always in the same order. The second stage does the same with the chunks' sums.

__device__ double add_rows(double mine, double* shared) {
    const int me = threadIdx.y * blockDim.x + threadIdx.x;
    shared[me] = mine;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) shared[me] += shared[me + half * blockDim.x];
    }
    return shared[me];
}

extern "C" __global__ void chunk_sums(const REAL* __restrict__ x, double* __restrict__ parts, long long pixels,
                                      int chunk, int c) {
    __shared__ double shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    const long long end = min((long long)(blockIdx.y + 1) * chunk, pixels);
    REAL sum = 0;
    for (long long p = (long long)blockIdx.y * chunk + threadIdx.y; p < end && channel < c; p += blockDim.y)
        sum += x[p * c + channel];
    const double total = add_rows(sum, shared);
    if (threadIdx.y == 0 && channel < c) parts[(long long)blockIdx.y * c + channel] = total;
}

extern "C" __global__ void finish_sums(const double* __restrict__ parts, REAL* __restrict__ sums, int chunks, int c) {
    __shared__ double shared[256];
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    double sum = 0;
    for (int k = threadIdx.y; k < chunks && channel < c; k += blockDim.y) sum += parts[(long long)k * c + channel];
    sum = add_rows(sum, shared);
    if (threadIdx.y == 0 && channel < c) sums[channel] = sum;
}
