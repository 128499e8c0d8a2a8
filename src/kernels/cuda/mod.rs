//! Kernels of NVIDIA GPUs, beside those of the CPU of the same names: what the tensor library would need many
//! launches and passes over memory for. Their source is CUDA C in this folder, built to PTX by build.rs.
//!
//! Sums do not depend on the GPU: blocks of rows are of fixed size, and nothing is added atomically.

mod adam;
mod attention;
mod cross_entropy;
mod dropout;
mod embedding;
mod launch;
mod linear;
mod norm;
mod search;

pub use adam::{Part, norm_of, update};
pub use attention::{Attention, Offsets};
pub use cross_entropy::Losses;
pub use dropout::{attention_factors, dropout, residual};
pub use embedding::{Rows, add_rows, embed};
pub use launch::address_of;
pub use linear::{bias, column_sums, product_of_bf16, relu_backward};
pub use norm::{layer_norm, layer_norm_backward};
pub use search::{best_of_rows, finds_best};

#[cfg(test)]
pub mod tests {
    use candle_core::Device;

    /// The first GPU: kernels are not tested without.
    pub fn gpu() -> Device {
        Device::new_cuda(0).expect("a GPU, or the emulated one of `make cudaemulated`")
    }

    /// The one index whose hash is the greatest number is kept too where nothing is dropped.
    #[test]
    fn nothing_is_dropped_without_dropout() {
        let last = candle_core::Tensor::new(&[[3_589_926_852u32, 1, 1]], &gpu()).unwrap();
        let kept =
            super::attention_factors(&last, crate::kernels::dropout::Dropout::NONE, (1, 1, 1))
                .unwrap();
        assert_eq!(kept.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [1.0]);
    }
}
