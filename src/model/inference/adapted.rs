//! A linear map with the updates of low rank that a direction adds to it, either beside it or
//! merged into it.

use std::sync::Arc;

use crate::autograd::LowRank;
use crate::error::{Error, Result};
use crate::kernels::buffer::Arena;
use crate::kernels::low_rank::merge;
use crate::kernels::packed::{Dense, Epilogue, PackedLinear, PackedMatrix, Rows, row_stride};
use crate::kernels::team::Worker;
use crate::kernels::vector::Isa;

/// How updates of low rank are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LowRankForm {
    /// Two thin products more; a direction costs the memory of its pairs.
    #[default]
    Beside,
    /// Added to the weights; a direction costs the memory of its layers, and no time.
    Merged,
}

/// Rows that a map needs while it runs.
#[derive(Clone, Copy)]
pub struct Spare<'a> {
    /// Between the thin products, rows of [`AdaptedLinear::low_width`].
    pub low: Rows<'a>,
    /// Inputs in integers; see [`PackedMatrix::input`].
    pub quant: Rows<'a>,
}

/// All updates of a map as two thin products: `y += (x downᵀ) upᵀ`, scalings folded into `up`.
struct Beside {
    /// `[ranks, in]`
    down: PackedLinear,
    /// `[out, ranks]`
    up: PackedLinear,
}

/// `x Wᵀ + b`, with or without updates. The map itself is shared by all directions.
#[derive(Clone)]
pub struct AdaptedLinear {
    base: Arc<PackedLinear>,
    beside: Option<Arc<Beside>>,
}

impl From<PackedLinear> for AdaptedLinear {
    fn from(base: PackedLinear) -> Self {
        Self { base: Arc::new(base), beside: None }
    }
}

/// Updates of one of the matrices that are stacked in a map: its first row, rows, and updates.
pub type Stacked<'a> = (usize, usize, &'a [LowRank]);

impl AdaptedLinear {
    pub fn weight(&self) -> &PackedMatrix {
        &self.base.weight
    }
    pub fn bias(&self) -> &[f32] {
        self.base.bias()
    }

    /// What the map occupies, shared or not.
    pub fn size_bytes(&self) -> usize {
        let beside = self.beside.as_ref().map_or(0, |b| b.down.size_bytes() + b.up.size_bytes());
        self.base.size_bytes() + beside
    }

    /// Values of a row between the thin products.
    pub fn low_width(&self) -> usize {
        self.beside.as_ref().map_or(0, |b| row_stride(b.down.weight.n()))
    }

    /// The same map with updates.
    ///
    /// # Errors
    /// A bug: updates of another shape.
    pub fn with_updates(
        &self,
        parts: &[Stacked<'_>],
        form: LowRankForm,
        arena: &mut Arena,
    ) -> Result<Self> {
        let (out, inp) = (self.base.weight.n(), self.base.weight.k());
        for (first, rows, updates) in parts {
            for u in *updates {
                if first + rows > out || !u.fits(*rows, inp)? {
                    return Err(Error::bug("update of low rank and matrix do not fit"));
                }
            }
        }
        if parts.iter().all(|(.., updates)| updates.is_empty()) {
            return Ok(self.clone());
        }
        if form == LowRankForm::Merged {
            let mut w = self.base.weight.to_rows();
            for (first, rows, updates) in parts {
                let own = &mut w[first * inp..(first + rows) * inp];
                for u in *updates {
                    let scale = u.scale()?;
                    u.with_update(|update| {
                        merge(own, inp, update, scale);
                        Ok(())
                    })?;
                }
            }
            let merged = Dense { values: w.into(), k: inp };
            let weight = PackedMatrix::pack_as(arena, self.base.weight.format(), &[&merged], inp)?;
            return Ok(PackedLinear::new(arena, weight, &[&self.base.bias()[..out]]).into());
        }
        let mut ranks = 0;
        for (.., updates) in parts {
            for u in *updates {
                ranks += u.rank()?;
            }
        }
        let (mut down, mut up) = (vec![0f32; ranks * inp], vec![0f32; out * ranks]);
        let mut at = 0;
        for (first, _, updates) in parts {
            for u in *updates {
                let scale = u.scale()?;
                u.with_update(|update| {
                    let rank = update.rank;
                    let width = update.lora_a.len() / rank;
                    for (r, row) in update.lora_a.chunks_exact(width).enumerate() {
                        down[(at + r) * inp + update.start..][..width].copy_from_slice(row);
                    }
                    for (o, row) in update.lora_b.chunks_exact(rank).enumerate() {
                        let to = &mut up[(first + update.start + o) * ranks + at..][..rank];
                        to.iter_mut().zip(row).for_each(|(t, v)| *t = scale * v);
                    }
                    at += rank;
                    Ok(())
                })?;
            }
        }
        let mut pack = |w: &[f32], k: usize| {
            let weight = PackedMatrix::pack(arena, &[w], k);
            PackedLinear::new(arena, weight, &[])
        };
        let beside = Beside { down: pack(&down, inp), up: pack(&up, ranks) };
        Ok(Self { base: Arc::clone(&self.base), beside: Some(Arc::new(beside)) })
    }

    /// Phases of a team: `y = op(x Wᵀ + bias + updates)` for the first `m` rows. The updates are f32
    /// in every format of the map.
    ///
    /// # Safety
    /// `isa` is available, `x` is not written and neither `y` nor `spare` touched by anyone else in
    /// these phases.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn phase(
        &self,
        w: &Worker<'_>,
        isa: Isa,
        x: Rows<'_>,
        y: Rows<'_>,
        spare: Spare<'_>,
        m: usize,
        op: Epilogue,
    ) {
        // SAFETY: passed on; a barrier ends each phase.
        unsafe {
            let input = self.base.weight.input(w, isa, x, spare.quant, m);
            let Some(b) = &self.beside else { return self.base.phase(w, isa, input, y, m, op) };
            let low = spare.low;
            b.down.phase(w, isa, x, low, m, Epilogue::Set);
            if op == Epilogue::Relu {
                // ReLU comes last, so the updates come first.
                b.up.phase(w, isa, low, y, m, Epilogue::Set);
                self.base.phase(w, isa, input, y, m, Epilogue::AddRelu);
            } else {
                self.base.phase(w, isa, input, y, m, op);
                b.up.phase(w, isa, low, y, m, Epilogue::Add);
            }
        }
    }
}
