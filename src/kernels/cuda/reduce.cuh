// Sums and maxima over the lanes of a warp, the threads of a block and the rows of a matrix.
#pragma once

static __device__ __forceinline__ float warp_sum(float v) {
  for (int by = 16; by > 0; by >>= 1) v += __shfl_xor_sync(~0u, v, by);
  return v;
}
static __device__ __forceinline__ float warp_max(float v) {
  for (int by = 16; by > 0; by >>= 1) v = fmaxf(v, __shfl_xor_sync(~0u, v, by));
  return v;
}
static __device__ __forceinline__ double warp_sum(double v) {
  for (int by = 16; by > 0; by >>= 1) v += __shfl_xor_sync(~0u, v, by);
  return v;
}

// Over a block of whole warps; `shared` holds a value for each warp. Every thread gets the result.
template <typename T>
static __device__ T block_sum(T v, T *shared) {
  const unsigned warps = blockDim.x / 32;
  v = warp_sum(v);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  T sum = shared[0];
  for (unsigned w = 1; w < warps; w++) sum += shared[w];
  return sum;
}
static __device__ float block_max(float v, float *shared) {
  const unsigned warps = blockDim.x / 32;
  v = warp_max(v);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  float most = shared[0];
  for (unsigned w = 1; w < warps; w++) most = fmaxf(most, shared[w]);
  return most;
}

// Rows that one block of column_sums adds up; fixed, so that sums do not depend on the GPU.
#define SUM_ROWS 128

// The sums of 32 columns over SUM_ROWS rows: threads are 32 columns by 8 rows. `of(row, column)` is a value.
template <typename F>
static __device__ void column_sums(const unsigned rows, const unsigned n, float *sums, F of) {
  __shared__ float part[8][32];
  const unsigned column = blockIdx.x * 32 + threadIdx.x, first = blockIdx.y * SUM_ROWS;
  const unsigned end = min(first + SUM_ROWS, rows);
  float sum = 0.0f;
  if (column < n) {
    for (unsigned row = first + threadIdx.y; row < end; row += 8) sum += of(row, column);
  }
  __syncthreads();
  part[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < n) {
    for (unsigned i = 1; i < 8; i++) sum += part[i][threadIdx.x];
    sums[(size_t)blockIdx.y * n + column] = sum;
  }
}

// Sums over blocks of rows, [blocks, n], from [rows, n].
extern "C" __global__ void column_sums_f32(const unsigned rows, const unsigned n, const float *x, float *sums) {
  column_sums(rows, n, sums, [=](unsigned row, unsigned column) { return x[(size_t)row * n + column]; });
}
