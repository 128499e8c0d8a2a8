// Attention over sentences of unequal lengths, with dropout on its probabilities (src/kernels/attention.rs).
// Scores and probabilities live in registers (Dao et al. 2022, "FlashAttention"): forward keeps the logarithm of
// each row's sum of exponentials, backward computes the probabilities again. No padding, no atomic sums.
//
// q and out are [query tokens, heads * head_dim], k and v [key tokens, heads * head_dim]; sentence s has the rows
// offsets[s]..offsets[s + 1] of its side; in decoding, keys are rows of a pool that `k_places` names. A block has 4 warps for ROWS rows of one sentence and head, each warp
// ROWS / 4; the 32 lanes of a warp hold 32 rows of the other side at a time, or its dimensions, up to 128.
#pragma once
#include "dropout.cuh"
#include "reduce.cuh"

#define ROWS 8
#define OWN (ROWS / 4)
#define TILE 32
#define PARTS 4

struct Sentence {
  unsigned q0, tq, k0, tk, start;
};
static __device__ __forceinline__ Sentence sentence(const unsigned heads, const unsigned *q_offsets,
                                                    const unsigned *k_offsets) {
  const unsigned s = blockIdx.z, h = blockIdx.y;
  Sentence a;
  a.q0 = q_offsets[s];
  a.tq = q_offsets[s + 1] - a.q0;
  a.k0 = k_offsets[s];
  a.tk = k_offsets[s + 1] - a.k0;
  // The index of its first probability, as attention::draw_start numbers them.
  a.start = (a.q0 * 1021u + a.k0) * heads * 7u + h * a.tq * a.tk;
  return a;
}
// Keys that query i sees, as attention::seen_by says.
static __device__ __forceinline__ unsigned seen_by(const Sentence &a, const unsigned causal, const unsigned i) {
  return causal ? min(i + 1 + (a.tk > a.tq ? a.tk - a.tq : 0), a.tk) : a.tk;
}
// `count` rows from `first` on into shared memory, a row every `stride` values; 0 from row `end` on. Where there
// are `places`, they say where each row lies.
static __device__ __forceinline__ void load(float *to, const unsigned stride, const float *from, const unsigned count,
                                            const unsigned first, const unsigned end, const unsigned dim,
                                            const size_t width, const unsigned *places = nullptr) {
  for (unsigned at = threadIdx.x; at < count * dim; at += blockDim.x) {
    const unsigned row = at / dim, d = at % dim, own = first + row;
    to[row * stride + d] = own < end ? from[(places ? places[own] : own) * width + d] : 0.0f;
  }
}
static __device__ __forceinline__ float dot(const float *a, const float *b, const unsigned dim) {
  float sum = 0.0f;
  for (unsigned d = 0; d < dim; d++) sum += a[d] * b[d];
  return sum;
}
// acc[d] += the sum over the lanes of each one's value times its row.
static __device__ __forceinline__ void add_rows(float (&acc)[PARTS], const float value, const float *rows,
                                                const unsigned stride, const unsigned dim) {
  const unsigned lane = threadIdx.x % 32;
  for (unsigned j = 0; j < TILE; j++) {
    const float v = __shfl_sync(~0u, value, j);
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) {
      const unsigned d = lane + 32 * p;
      if (d < dim) acc[p] += v * rows[j * stride + d];
    }
  }
}

extern "C" __global__ void attention_f32(const unsigned heads, const unsigned dim, const unsigned causal,
                                         const unsigned key, const unsigned keep, const float drop_scale,
                                         const float scale, const unsigned *q_offsets, const unsigned *k_offsets,
                                         const unsigned *k_places, const float *q, const float *k, const float *v,
                                         float *out, float *lse) {
  extern __shared__ float memory[];
  const Sentence a = sentence(heads, q_offsets, k_offsets);
  const unsigned first = blockIdx.x * ROWS, warp = threadIdx.x / 32, lane = threadIdx.x % 32, stride = dim + 1;
  if (first >= a.tq) return;
  const size_t width = (size_t)heads * dim, at = (size_t)blockIdx.y * dim;
  float *ks = memory, *vs = ks + TILE * stride, *qs = vs + TILE * stride;
  q += a.q0 * width + at;
  k += at;
  v += at;
  if (k_places) {
    k_places += a.k0;
  } else {
    k += a.k0 * width;
    v += a.k0 * width;
  }
  load(qs, stride, q, ROWS, first, a.tq, dim, width);
  float most[OWN], sum[OWN], acc[OWN][PARTS];
#pragma unroll
  for (unsigned r = 0; r < OWN; r++) {
    most[r] = -INFINITY;
    sum[r] = 0.0f;
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) acc[r][p] = 0.0f;
  }
  const unsigned end = seen_by(a, causal, min(first + ROWS, a.tq) - 1);
  for (unsigned base = 0; base < end; base += TILE) {
    __syncthreads();
    load(ks, stride, k, TILE, base, a.tk, dim, width, k_places);
    load(vs, stride, v, TILE, base, a.tk, dim, width, k_places);
    __syncthreads();
#pragma unroll
    for (unsigned r = 0; r < OWN; r++) {
      const unsigned row = warp * OWN + r, i = first + row, j = base + lane;
      if (i >= a.tq) continue;
      const unsigned seen = seen_by(a, causal, i);
      if (base >= seen) continue;
      const float s = j < seen ? dot(qs + row * stride, ks + lane * stride, dim) * scale : -INFINITY;
      const float top = fmaxf(most[r], warp_max(s));
      const float before = most[r] == -INFINITY ? 0.0f : expf(most[r] - top);
      // Scores may all be minus infinity, in a model that is broken.
      float p = j < seen ? expf(s - (top == -INFINITY ? 0.0f : top)) : 0.0f;
      sum[r] = sum[r] * before + warp_sum(p);
      most[r] = top;
      p *= factor(key, keep, drop_scale, a.start + i * a.tk + j);
#pragma unroll
      for (unsigned d = 0; d < PARTS; d++) acc[r][d] *= before;
      add_rows(acc[r], p, vs, stride, dim);
    }
  }
#pragma unroll
  for (unsigned r = 0; r < OWN; r++) {
    const unsigned i = first + warp * OWN + r;
    if (i >= a.tq) continue;
    const size_t row = a.q0 + i;
    // A query without a key gets nothing.
    const float by = sum[r] == 0.0f ? 0.0f : 1.0f / sum[r];
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) {
      const unsigned d = lane + 32 * p;
      if (d < dim) out[row * width + at + d] = acc[r][p] * by;
    }
    if (lane == 0) lse[row * heads + blockIdx.y] = most[r] + logf(sum[r]);
  }
}

// The gradient for q, and for each query the sum of its gradients times its result, which the one for keys and
// values needs: with P the probabilities and M what dropout multiplies them by, dP = (dO vT) M and
// dS = P (dP - rowsum(P dP)), where the sum is that of dO times O.
extern "C" __global__ void attention_backward_q_f32(const unsigned heads, const unsigned dim, const unsigned causal,
                                                    const unsigned key, const unsigned keep, const float drop_scale,
                                                    const float scale, const unsigned *q_offsets,
                                                    const unsigned *k_offsets, const float *q, const float *k,
                                                    const float *v, const float *out, const float *lse,
                                                    const float *d_out, float *dq, float *along) {
  extern __shared__ float memory[];
  const Sentence a = sentence(heads, q_offsets, k_offsets);
  const unsigned first = blockIdx.x * ROWS, warp = threadIdx.x / 32, lane = threadIdx.x % 32, stride = dim + 1;
  if (first >= a.tq) return;
  const size_t width = (size_t)heads * dim, at = (size_t)blockIdx.y * dim;
  float *ks = memory, *vs = ks + TILE * stride, *qs = vs + TILE * stride, *gs = qs + ROWS * stride;
  load(qs, stride, q + a.q0 * width + at, ROWS, first, a.tq, dim, width);
  load(gs, stride, d_out + a.q0 * width + at, ROWS, first, a.tq, dim, width);
  __syncthreads();
  float total[OWN], mean[OWN], acc[OWN][PARTS];
#pragma unroll
  for (unsigned r = 0; r < OWN; r++) {
    const unsigned row = warp * OWN + r, i = first + row;
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) acc[r][p] = 0.0f;
    total[r] = mean[r] = 0.0f;
    if (i >= a.tq) continue;
    const size_t token = a.q0 + i;
    total[r] = lse[token * heads + blockIdx.y];
    float own = 0.0f;
    for (unsigned d = lane; d < dim; d += 32) own += gs[row * stride + d] * out[token * width + at + d];
    mean[r] = warp_sum(own);
    if (lane == 0) along[token * heads + blockIdx.y] = mean[r];
  }
  const unsigned end = seen_by(a, causal, min(first + ROWS, a.tq) - 1);
  for (unsigned base = 0; base < end; base += TILE) {
    __syncthreads();
    load(ks, stride, k + a.k0 * width + at, TILE, base, a.tk, dim, width);
    load(vs, stride, v + a.k0 * width + at, TILE, base, a.tk, dim, width);
    __syncthreads();
#pragma unroll
    for (unsigned r = 0; r < OWN; r++) {
      const unsigned row = warp * OWN + r, i = first + row, j = base + lane;
      if (i >= a.tq) continue;
      float ds = 0.0f;
      if (j < seen_by(a, causal, i)) {
        const float p = expf(dot(qs + row * stride, ks + lane * stride, dim) * scale - total[r]);
        const float dp = dot(gs + row * stride, vs + lane * stride, dim) *
                         factor(key, keep, drop_scale, a.start + i * a.tk + j);
        ds = p * (dp - mean[r]) * scale;
      }
      add_rows(acc[r], ds, ks, stride, dim);
    }
  }
#pragma unroll
  for (unsigned r = 0; r < OWN; r++) {
    const unsigned i = first + warp * OWN + r;
    if (i >= a.tq) continue;
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) {
      const unsigned d = lane + 32 * p;
      if (d < dim) dq[(a.q0 + i) * width + at + d] = acc[r][p];
    }
  }
}

// The gradients for k and v; a block has ROWS keys, and lanes are queries.
extern "C" __global__ void attention_backward_kv_f32(const unsigned heads, const unsigned dim, const unsigned causal,
                                                     const unsigned key, const unsigned keep, const float drop_scale,
                                                     const float scale, const unsigned *q_offsets,
                                                     const unsigned *k_offsets, const float *q, const float *k,
                                                     const float *v, const float *lse, const float *along,
                                                     const float *d_out, float *dk, float *dv) {
  extern __shared__ float memory[];
  const Sentence a = sentence(heads, q_offsets, k_offsets);
  const unsigned first = blockIdx.x * ROWS, warp = threadIdx.x / 32, lane = threadIdx.x % 32, stride = dim + 1;
  if (first >= a.tk) return;
  const size_t width = (size_t)heads * dim, at = (size_t)blockIdx.y * dim;
  float *qs = memory, *gs = qs + TILE * stride, *ks = gs + TILE * stride, *vs = ks + ROWS * stride;
  load(ks, stride, k + a.k0 * width + at, ROWS, first, a.tk, dim, width);
  load(vs, stride, v + a.k0 * width + at, ROWS, first, a.tk, dim, width);
  float for_k[OWN][PARTS], for_v[OWN][PARTS];
#pragma unroll
  for (unsigned r = 0; r < OWN; r++) {
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) for_k[r][p] = for_v[r][p] = 0.0f;
  }
  for (unsigned base = 0; base < a.tq; base += TILE) {
    __syncthreads();
    load(qs, stride, q + a.q0 * width + at, TILE, base, a.tq, dim, width);
    load(gs, stride, d_out + a.q0 * width + at, TILE, base, a.tq, dim, width);
    __syncthreads();
    const unsigned i = base + lane;
    const size_t token = (a.q0 + (i < a.tq ? i : 0)) * (size_t)heads + blockIdx.y;
    const float total = lse[token], mean = along[token];
#pragma unroll
    for (unsigned r = 0; r < OWN; r++) {
      const unsigned row = warp * OWN + r, j = first + row;
      if (j >= a.tk) continue;
      float p = 0.0f, ds = 0.0f;
      if (i < a.tq && j < seen_by(a, causal, i)) {
        const float drawn = factor(key, keep, drop_scale, a.start + i * a.tk + j);
        p = expf(dot(qs + lane * stride, ks + row * stride, dim) * scale - total);
        ds = p * (dot(gs + lane * stride, vs + row * stride, dim) * drawn - mean) * scale;
        p *= drawn;
      }
      add_rows(for_v[r], p, gs, stride, dim);
      add_rows(for_k[r], ds, qs, stride, dim);
    }
  }
#pragma unroll
  for (unsigned r = 0; r < OWN; r++) {
    const unsigned j = first + warp * OWN + r;
    if (j >= a.tk) continue;
#pragma unroll
    for (unsigned p = 0; p < PARTS; p++) {
      const unsigned d = lane + 32 * p;
      if (d < dim) {
        dk[(a.k0 + j) * width + at + d] = for_k[r][p];
        dv[(a.k0 + j) * width + at + d] = for_v[r][p];
      }
    }
  }
}
