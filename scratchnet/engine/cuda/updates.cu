// The optimisers' updates of a flat buffer of parameters: one thread updates one number, and reads and writes each
// array once, where a chain of array operations would go through memory for every term. Neighbouring threads own
// neighbouring numbers. Numbers are counted in 64 bits.

#define EACH_NUMBER(i, count)                                                         \
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (count); \
         i += (long long)gridDim.x * blockDim.x)

// m ← μ·m + g + λ·w        w ← w − rate·m
extern "C" __global__ void sgd(REAL* __restrict__ w, const REAL* __restrict__ g, REAL* __restrict__ m, long long count,
                               REAL rate, REAL momentum, REAL decay) {
    EACH_NUMBER(i, count) {
        m[i] = momentum * m[i] + g[i] + decay * w[i];
        w[i] -= rate * m[i];
    }
}

// m ← β₁·m + (1−β₁)·g      v ← β₂·v + (1−β₂)·g²      w ← w − rate · m / (√(v·unbias) + ε)
// with g + λ·w in place of g; `rate` holds the factor 1 / (1 − β₁ᵗ), and `unbias` is 1 / (1 − β₂ᵗ), after t updates.
extern "C" __global__ void adam(REAL* __restrict__ w, const REAL* __restrict__ g, REAL* __restrict__ m,
                                REAL* __restrict__ v, long long count, REAL rate, REAL decay, REAL beta1,
                                REAL rest1, REAL beta2, REAL rest2, REAL unbias, REAL eps) {
    EACH_NUMBER(i, count) {
        const REAL slope = g[i] + decay * w[i];
        m[i] = beta1 * m[i] + rest1 * slope;
        v[i] = beta2 * v[i] + rest2 * (slope * slope);
        w[i] -= rate * m[i] / (sqrt(v[i] * unbias) + eps);
    }
}
