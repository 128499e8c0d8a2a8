// Dropout by a hash of the index, with the draws of the CPU (src/kernels/dropout.rs).
#pragma once

// "lowbias32" of Chris Wellons' hash prospector, as in dropout.rs.
static __device__ __forceinline__ unsigned mix(unsigned x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

// What the value at `index` is multiplied by; `keep` of all ones keeps all.
static __device__ __forceinline__ float factor(unsigned key, unsigned keep, float scale, unsigned index) {
  return keep == ~0u || mix(key + index) < keep ? scale : 0.0f;
}

// y = x where the hash of the index lies below `keep`, times `scale`; else 0.
extern "C" __global__ void dropout_f32(const size_t n, const unsigned key, const unsigned keep, const float scale,
                                       const float *x, float *y) {
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
    y[i] = x[i] * factor(key, keep, scale, (unsigned)i);
  }
}

// What dropout multiplies attention by, [sentences, heads, queries, keys]. `parts` holds a sentence's first
// index, its queries and its keys; beyond them it is 0.
extern "C" __global__ void attention_factors_f32(const size_t n, const unsigned key, const unsigned keep,
                                                 const float scale, const unsigned heads, const unsigned queries,
                                                 const unsigned keys, const unsigned *parts, float *y) {
  for (size_t at = blockIdx.x * (size_t)blockDim.x + threadIdx.x; at < n; at += (size_t)gridDim.x * blockDim.x) {
    size_t rest = at;
    const unsigned j = rest % keys;
    rest /= keys;
    const unsigned i = rest % queries;
    rest /= queries;
    const unsigned h = rest % heads;
    const unsigned *part = parts + 3 * (rest / heads);
    const unsigned start = part[0], tq = part[1], tk = part[2];
    const unsigned index = start + h * tq * tk + i * tk + j;
    y[at] = i < tq && j < tk ? factor(key, keep, scale, index) : 0.0f;
  }
}

// y = x + dropout(h).
extern "C" __global__ void residual_f32(const size_t n, const unsigned key, const unsigned keep, const float scale,
                                        const float *x, const float *h, float *y) {
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
    y[i] = x[i] + h[i] * factor(key, keep, scale, (unsigned)i);
  }
}
