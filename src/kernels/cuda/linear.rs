//! What stands around the products of linear maps, and products of factors in bf16.

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{DType, Tensor};

use super::launch::{Call, address_of, device_of, unwritten};
use crate::error::{Error, Result};

/// `y += b`, then ReLU when asked, where `y` `[rows, n]` lies: nobody else may hold it.
pub fn bias(y: &Tensor, b: &Tensor, relu: bool) -> Result<()> {
    let (n, values) = (b.elem_count(), y.elem_count());
    let call = Call::new("bias_f32", y)?.u64(values).u32(n)?.u32(usize::from(relu))?;
    let call = call.values(b)?.values(y)?;
    // SAFETY: the arguments are the kernel's; y holds `values`, b as many as a row of it.
    unsafe { call.over(values) }
}

/// The gradient in front of ReLU whose result was `y`.
pub fn relu_backward(dy: &Tensor, y: &Tensor) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    let (dx, n) = (unwritten(dy.shape(), DType::F32, &dy)?, dy.elem_count());
    let call = Call::new("relu_backward_f32", &dy)?.u64(n).values(&dy)?.values(y)?.values(&dx)?;
    // SAFETY: the arguments are the kernel's; all three hold n values.
    unsafe { call.over(n)? };
    Ok(dx)
}

/// Rows that a block of the kernels adds up; `SUM_ROWS` of reduce.cuh.
const SUM_ROWS: usize = 128;

/// Sums over the rows of `[rows, n]` by a kernel that writes those of blocks of rows to what it is given, and
/// by those of the blocks in turn.
pub(super) fn over_columns(
    rows: usize,
    n: usize,
    like: &Tensor,
    kernel: impl FnOnce(&Tensor) -> Result<Call>,
) -> Result<Tensor> {
    let blocks = rows.div_ceil(SUM_ROWS);
    if blocks == 0 {
        return Ok(Tensor::zeros(n, DType::F32, like.device())?);
    }
    let sums = unwritten((blocks, n), DType::F32, like)?;
    // SAFETY: the caller gives a kernel of column_sums (reduce.cuh) with tensors of `rows` rows of n; it
    // writes n values for each block of rows.
    unsafe { kernel(&sums)?.launch((n.div_ceil(32), blocks, 1), (32, 8), 0)? };
    if blocks == 1 { Ok(sums.reshape(n)?) } else { block_sums(&sums) }
}

pub(super) fn block_sums(x: &Tensor) -> Result<Tensor> {
    let (rows, n) = x.dims2()?;
    over_columns(rows, n, x, |sums| {
        Call::new("column_sums_f32", x)?.u32(rows)?.u32(n)?.values(x)?.values(sums)
    })
}

/// The sums of the columns of `x` `[rows, n]`.
pub fn column_sums(x: &Tensor) -> Result<Tensor> {
    block_sums(&x.contiguous()?)
}

/// A factor `[rows, columns]` in bf16, and whether it lies column by column.
fn rounded(t: &Tensor) -> Result<(Tensor, bool)> {
    let across = !t.is_contiguous() && t.t()?.is_contiguous();
    let t = if across { t.t()? } else { t.contiguous()? };
    Ok((t.to_dtype(DType::BF16)?, across))
}

/// `a b` in f32 of two matrices rounded to bf16, on the units a GPU has for such factors.
pub fn product_of_bf16(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ((m, k), (inner, n)) = (a.dims2()?, b.dims2()?);
    if k != inner {
        return Err(Error::bug(format!("product of {:?} and {:?}", a.dims(), b.dims())));
    }
    if m == 0 || n == 0 || k == 0 {
        return Ok(Tensor::zeros((m, n), DType::F32, a.device())?);
    }
    let ((a, a_across), (b, b_across)) = (rounded(a)?, rounded(b)?);
    let y = unwritten((m, n), DType::F32, &a)?;
    let of = |across| match across {
        true => sys::cublasOperation_t::CUBLAS_OP_T,
        false => sys::cublasOperation_t::CUBLAS_OP_N,
    };
    let size =
        |v: usize| i32::try_from(v).map_err(|_| Error::bug(format!("a product of {v} rows")));
    let (bf16, f32) = (sys::cudaDataType_t::CUDA_R_16BF, sys::cudaDataType_t::CUDA_R_32F);
    let (one, zero) = (1f32, 0f32);
    let constant = |v: &f32| std::ptr::from_ref(v).cast::<c_void>();
    let blas = device_of(&a)?.cublas_handle();
    // SAFETY: the library reads matrices column by column, so this is bᵀ aᵀ of what lies row by row: `b` has
    // rows of n values (k where it lies across), `a` rows of k (m), and `y`, n of them, is written whole.
    unsafe {
        result::gemm_strided_batched_ex(
            *blas.handle(),
            of(b_across),
            of(a_across),
            size(n)?,
            size(m)?,
            size(k)?,
            constant(&one),
            address_of(&b)? as *const c_void,
            bf16,
            size(if b_across { k } else { n })?,
            0,
            address_of(&a)? as *const c_void,
            bf16,
            size(if a_across { m } else { k })?,
            0,
            constant(&zero),
            address_of(&y)? as *mut c_void,
            f32,
            size(n)?,
            0,
            1,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
        )
    }
    .map_err(candle_core::Error::wrap)?;
    Ok(y)
}
