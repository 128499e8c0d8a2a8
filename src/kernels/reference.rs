//! What the tests of the kernels share: numbers, comparison, candle as the reference.
//!
//! candle's composed operations in f64 are the plain reference; its own backward gives the
//! gradients. (Its fused norms and softmax cut gradients and are not used.)

use candle_core::{DType, Device, Tensor, Var};

/// Reproducible values in -1..1.
pub fn numbers(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32)
        .map(|i| {
            let x = i.wrapping_add(seed).wrapping_mul(2_654_435_761);
            ((x ^ (x >> 15)).wrapping_mul(2_246_822_519) >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// Equal within `tolerance` of the larger of 1 and the expected value.
#[track_caller]
pub fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "at {i}: {a}, expected {b}");
    }
}

/// A trainable f64 tensor.
pub fn var(values: &[f32], dims: &[usize]) -> Var {
    let t = Tensor::from_slice(values, dims, &Device::Cpu).unwrap();
    Var::from_tensor(&t.to_dtype(DType::F64).unwrap()).unwrap()
}

/// The values as f32.
pub fn out(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Gradients of `sum(y * dy)` for the variables.
pub fn gradients(y: &Tensor, dy: &[f32], vars: &[&Var]) -> Vec<Vec<f32>> {
    let dy = Tensor::from_slice(dy, y.dims(), &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
    let store = (y * dy).unwrap().sum_all().unwrap().backward().unwrap();
    vars.iter().map(|v| out(store.get(v.as_tensor()).unwrap())).collect()
}
