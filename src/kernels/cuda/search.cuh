// The best next tokens of rows of logits (src/model/stepping/candidates.rs); a block for each row.
#pragma once
#include "reduce.cuh"

#define CHUNK_COLUMNS 128
#define NO_ID 0xffffffffu

// A logit and its column. Greater ones come first, of equal ones the first column.
struct Best {
  float logit;
  unsigned id;
};
static __device__ __forceinline__ bool before(const Best a, const Best b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}
static __device__ __forceinline__ Best warp_best(Best own) {
  for (int by = 16; by > 0; by >>= 1) {
    const Best other = {__shfl_xor_sync(~0u, own.logit, by), __shfl_xor_sync(~0u, own.id, by)};
    if (before(other, own)) own = other;
  }
  return own;
}
// The best of a chunk among those that come behind `last`; all lanes of a warp get it.
static __device__ __forceinline__ Best chunk_best(const float *z, const unsigned columns, const unsigned chunk,
                                                  const Best last) {
  Best own = {-INFINITY, NO_ID};
  for (unsigned i = threadIdx.x % 32; i < CHUNK_COLUMNS; i += 32) {
    const Best at = {chunk * CHUNK_COLUMNS + i < columns ? z[chunk * CHUNK_COLUMNS + i] : -INFINITY,
                     chunk * CHUNK_COLUMNS + i};
    if (at.id < columns && before(last, at) && before(at, own)) own = at;
  }
  return warp_best(own);
}

// out[row]: the greatest logit, the sum of exponentials of the logits minus it, the `best` greatest logits, and
// their columns as bits. Chunks of the row and their best logits stand in shared memory.
extern "C" __global__ void best_f32(const unsigned columns, const unsigned best, const float *z, float *out) {
  extern __shared__ Best heads[];
  __shared__ Best warps[32];
  __shared__ float tops[32], sums[32];
  const unsigned chunks = (columns + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const unsigned num_warps = blockDim.x / 32;
  z += (size_t)blockIdx.x * columns;
  out += (size_t)blockIdx.x * (2 + 2 * best);
  float top = -INFINITY, sum = 0.0f;
  for (unsigned c = warp; c < chunks; c += num_warps) {
    Best head = {-INFINITY, NO_ID};
    float most = -INFINITY;
    for (unsigned i = c * CHUNK_COLUMNS + lane; i < min((c + 1) * CHUNK_COLUMNS, columns); i += 32) {
      const Best at = {z[i], i};
      most = fmaxf(most, at.logit);
      if (before(at, head)) head = at;
    }
    head = warp_best(head);
    most = fmaxf(top, warp_max(most));
    // Nothing but minus infinity so far: sums are then of what is no number, which stays, or 0.
    const float centre = most == -INFINITY ? 0.0f : most;
    float own = 0.0f;
    for (unsigned i = c * CHUNK_COLUMNS + lane; i < min((c + 1) * CHUNK_COLUMNS, columns); i += 32) own += expf(z[i] - centre);
    sum = sum * (top == -INFINITY ? 1.0f : expf(top - most)) + warp_sum(own);
    top = most;
    if (lane == 0) heads[c] = head;
  }
  if (lane == 0) {
    tops[warp] = top;
    sums[warp] = sum;
  }
  __syncthreads();
  float most = -INFINITY, total = 0.0f;
  for (unsigned w = 0; w < num_warps; w++) most = fmaxf(most, tops[w]);
  for (unsigned w = 0; w < num_warps; w++) {
    total += sums[w] * (tops[w] == -INFINITY ? 1.0f : expf(tops[w] - most));
  }
  if (threadIdx.x == 0) {
    out[0] = most;
    out[1] = total;
  }
  for (unsigned n = 0; n < best; n++) {
    Best own = {-INFINITY, NO_ID};
    for (unsigned c = threadIdx.x; c < chunks; c += blockDim.x) {
      if (before(heads[c], own)) own = heads[c];
    }
    own = warp_best(own);
    __syncthreads();
    if (lane == 0) warps[warp] = own;
    __syncthreads();
    own = warps[0];
    for (unsigned w = 1; w < num_warps; w++) {
      if (before(warps[w], own)) own = warps[w];
    }
    if (threadIdx.x == 0) {
      out[2 + n] = own.logit;
      out[2 + best + n] = __uint_as_float(own.id);
    }
    if (own.id != NO_ID && warp == 0) {
      const unsigned c = own.id / CHUNK_COLUMNS;
      const Best next = chunk_best(z, columns, c, own);
      if (lane == 0) heads[c] = next;
    }
    __syncthreads();
  }
}
