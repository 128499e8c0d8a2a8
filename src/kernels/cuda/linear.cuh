// What stands around the products of linear maps.
#pragma once

// y += bias, then ReLU when asked; y is [rows, n].
extern "C" __global__ void bias_f32(const size_t values, const unsigned n, const unsigned relu, const float *bias,
                                    float *y) {
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < values; i += (size_t)gridDim.x * blockDim.x) {
    const float v = y[i] + bias[i % n];
    // What is no number stays none.
    y[i] = relu && v <= 0.0f ? 0.0f : v;
  }
}

// The gradient in front of ReLU whose result was y.
extern "C" __global__ void relu_backward_f32(const size_t values, const float *dy, const float *y, float *dx) {
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < values; i += (size_t)gridDim.x * blockDim.x) {
    dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
  }
}
