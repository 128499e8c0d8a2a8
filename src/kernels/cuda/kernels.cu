// Kernels of the GPU. Each computes what its namesake on the CPU does (src/kernels), in another order of sums
// that does not depend on the GPU: there are no atomic sums, so the same input gives the same bytes. Built to
// PTX by build.rs, run by src/kernels/cuda.

#include "dropout.cuh"
#include "reduce.cuh"

#include "adam.cuh"
#include "attention.cuh"
#include "cross_entropy.cuh"
#include "embedding.cuh"
#include "layer_norm.cuh"
#include "linear.cuh"
#include "search.cuh"
