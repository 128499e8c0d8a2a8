// Adam over all tensors at once (src/kernels/adam.rs).
#pragma once
#include "reduce.cuh"

// A tensor and its part of the step; the blocks first..first + n / CHUNK work on it.
struct AdamPart {
  float *w, *m, *v;
  const float *g;
  unsigned long long n;
  unsigned first;
  float step_size, inv_bias2;
  unsigned unused;
};
#define CHUNK 4096

// The part a block works on: the last that does not begin behind it.
static __device__ __forceinline__ unsigned part_of(const AdamPart *parts, const unsigned count) {
  unsigned low = 0, high = count;
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    if (parts[middle].first <= blockIdx.x) low = middle;
    else high = middle;
  }
  return low;
}

extern "C" __global__ void adam_f32(const unsigned count, const AdamPart *parts, const float beta1, const float beta2,
                                    const float eps, const float l2, const float shrink, const float grad_scale) {
  const AdamPart p = parts[part_of(parts, count)];
  const size_t first = (size_t)(blockIdx.x - p.first) * CHUNK;
  const size_t end = first + CHUNK < p.n ? first + CHUNK : p.n;
  for (size_t i = first + threadIdx.x; i < end; i += blockDim.x) {
    const float w = p.w[i], g = p.g[i] * grad_scale + l2 * w;
    const float m = beta1 * p.m[i] + (1.0f - beta1) * g, v = beta2 * p.v[i] + (1.0f - beta2) * g * g;
    p.m[i] = m;
    p.v[i] = v;
    p.w[i] = w * shrink - p.step_size * m / (sqrtf(v * p.inv_bias2) + eps);
  }
}

// The sum of squares of the values of each block.
extern "C" __global__ void squares_f32(const unsigned count, const AdamPart *parts, double *sums) {
  __shared__ double shared[32];
  const AdamPart p = parts[part_of(parts, count)];
  const size_t first = (size_t)(blockIdx.x - p.first) * CHUNK;
  const size_t end = first + CHUNK < p.n ? first + CHUNK : p.n;
  double sum = 0.0;
  for (size_t i = first + threadIdx.x; i < end; i += blockDim.x) sum += (double)p.g[i] * p.g[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Their sum; one block.
extern "C" __global__ void sum_f64(const unsigned n, const double *x, double *sum) {
  __shared__ double shared[32];
  double own = 0.0;
  for (unsigned i = threadIdx.x; i < n; i += blockDim.x) own += x[i];
  own = block_sum(own, shared);
  if (threadIdx.x == 0) *sum = own;
}
