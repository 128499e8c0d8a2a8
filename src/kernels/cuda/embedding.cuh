// Rows of a matrix by their numbers (src/kernels/embedding.rs).
#pragma once

// Bits of a bf16 as f32.
static __device__ __forceinline__ float wide(unsigned short v) { return __uint_as_float((unsigned)v << 16); }
static __device__ __forceinline__ float wide(float v) { return v; }

// y[t] = scale * weight[ids[t]] + positions[places[t]]; a block for each token.
template <typename T>
static __device__ void embed(const unsigned width, const float scale, const T *weight, const unsigned *ids,
                             const float *positions, const unsigned *places, float *y) {
  weight += (size_t)ids[blockIdx.x] * width;
  positions += (size_t)places[blockIdx.x] * width;
  y += (size_t)blockIdx.x * width;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) y[i] = scale * wide(weight[i]) + positions[i];
}
extern "C" __global__ void embed_f32(const unsigned width, const float scale, const float *weight, const unsigned *ids,
                                     const float *positions, const unsigned *places, float *y) {
  embed(width, scale, weight, ids, positions, places, y);
}
extern "C" __global__ void embed_bf16(const unsigned width, const float scale, const unsigned short *weight,
                                      const unsigned *ids, const float *positions, const unsigned *places, float *y) {
  embed(width, scale, weight, ids, positions, places, y);
}

// y[targets[b]] += scale * the sum of x[order[i]] over starts[b] <= i < starts[b + 1]; a block for each target,
// none of which comes twice.
extern "C" __global__ void add_rows_f32(const unsigned width, const float scale, const unsigned *targets,
                                        const unsigned *starts, const unsigned *order, const float *x, float *y) {
  y += (size_t)targets[blockIdx.x] * width;
  const unsigned first = starts[blockIdx.x], end = starts[blockIdx.x + 1];
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
    float sum = 0.0f;
    for (unsigned r = first; r < end; r++) sum += x[(size_t)order[r] * width + i];
    y[i] += scale * sum;
  }
}
