// Label-smoothed cross-entropy of rows of logits (src/kernels/cross_entropy.rs); a block for each row.
#pragma once
#include "reduce.cuh"

// losses[row] becomes the negative log probability of the label, and the mean of those of the whole vocabulary.
// Where `gradient` is set, the logits become scale * weights[row] times the gradient for them.
extern "C" __global__ void cross_entropy_f32(const unsigned vocab, const float smoothing, const float scale,
                                             const unsigned gradient, const float *weights, const unsigned *labels,
                                             const float *bias, float *z, double2 *losses) {
  __shared__ float shared[32];
  const unsigned row = blockIdx.x, label = labels[row];
  z += (size_t)row * vocab;
  float most = -INFINITY, total = 0.0f;
  for (unsigned i = threadIdx.x; i < vocab; i += blockDim.x) {
    float v = z[i];
    if (bias) z[i] = v = v + bias[i];
    // A maximum that passes over what is no number would hide it; the sum does not.
    most = fmaxf(most, v);
    total += v;
  }
  most = block_max(most, shared);
  total = block_sum(total, shared);
  float sum = 0.0f;
  for (unsigned i = threadIdx.x; i < vocab; i += blockDim.x) sum += expf(z[i] - most);
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) {
    const double lse = log((double)sum);
    losses[row] = make_double2(lse - (double)(z[label] - most), lse - (double)(total / vocab - most));
  }
  if (!gradient) return;
  __syncthreads();
  const float own = scale * weights[row], by = own / sum, spread = own * smoothing / vocab;
  for (unsigned i = threadIdx.x; i < vocab; i += blockDim.x) {
    // As of the loss: what has no weight has no gradient, whatever the model makes of it.
    z[i] = own == 0.0f ? 0.0f : expf(z[i] - most) * by - spread - (i == label ? own * (1.0f - smoothing) : 0.0f);
  }
}

// sums += the weighted sums over the rows, with smoothing and without. One block.
extern "C" __global__ void loss_sums_f64(const unsigned rows, const float smoothing, const float *weights,
                                         const double2 *losses, double2 *sums) {
  __shared__ double shared[32];
  double loss = 0.0, nll = 0.0;
  for (unsigned i = threadIdx.x; i < rows; i += blockDim.x) {
    const double weight = weights[i], e = smoothing;
    // A row of weight 0 counts for nothing, whatever the model makes of it; nor does nothing times an
    // infinite spread.
    if (weight == 0.0) continue;
    nll += weight * losses[i].x;
    loss += weight * (smoothing == 0.0f ? losses[i].x : (1.0 - e) * losses[i].x + e * losses[i].y);
  }
  loss = block_sum(loss, shared);
  nll = block_sum(nll, shared);
  if (threadIdx.x == 0) *sums = make_double2(sums->x + loss, sums->y + nll);
}
