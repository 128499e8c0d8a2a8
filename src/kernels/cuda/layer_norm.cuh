// Layer normalisation of the last axis (src/kernels/layer_norm.rs); a warp for each row.
#pragma once
#include "reduce.cuh"

// Mean and reciprocal of the standard deviation of a row.
static __device__ __forceinline__ float2 row_stats(const float *x, const unsigned n, const float eps) {
  const unsigned lane = threadIdx.x % 32;
  float sum = 0.0f, squares = 0.0f;
  for (unsigned i = lane; i < n; i += 32) sum += x[i];
  const float mean = warp_sum(sum) / n;
  for (unsigned i = lane; i < n; i += 32) squares += (x[i] - mean) * (x[i] - mean);
  return make_float2(mean, 1.0f / sqrtf(warp_sum(squares) / n + eps));
}

extern "C" __global__ void layer_norm_f32(const unsigned rows, const unsigned n, const float eps, const float *x,
                                          const float *w, const float *b, float *y) {
  const unsigned row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  x += (size_t)row * n;
  y += (size_t)row * n;
  const float2 s = row_stats(x, n, eps);
  for (unsigned i = threadIdx.x % 32; i < n; i += 32) y[i] = (x[i] - s.x) * s.y * w[i] + b[i];
}

// The gradient for x, and what the sums for w and b need: mean and reciprocal deviation of each row.
extern "C" __global__ void layer_norm_backward_f32(const unsigned rows, const unsigned n, const float eps,
                                                   const float *x, const float *w, const float *dy, float *dx,
                                                   float2 *stats) {
  const unsigned row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  const size_t at = (size_t)row * n;
  x += at;
  dy += at;
  dx += at;
  const float2 s = row_stats(x, n, eps);
  float s1 = 0.0f, s2 = 0.0f;
  for (unsigned i = lane; i < n; i += 32) {
    const float g = dy[i] * w[i];
    s1 += g;
    s2 += g * (x[i] - s.x);
  }
  s1 = warp_sum(s1) / n;
  s2 = warp_sum(s2) * s.y * s.y / n;
  for (unsigned i = lane; i < n; i += 32) dx[i] = s.y * (dy[i] * w[i] - s1 - (x[i] - s.x) * s2);
  if (lane == 0) stats[row] = s;
}

// Sums over blocks of rows of the gradient for w, [blocks, n].
extern "C" __global__ void layer_norm_weight_sums_f32(const unsigned rows, const unsigned n, const float *x,
                                                      const float *dy, const float2 *stats, float *sums) {
  column_sums(rows, n, sums, [=](unsigned row, unsigned column) {
    const size_t at = (size_t)row * n + column;
    return dy[at] * (x[at] - stats[row].x) * stats[row].y;
  });
}
