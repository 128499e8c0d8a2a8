//! Bottleneck adapters as translation runs them.

use std::sync::Arc;

use super::decoder::norm_phase;
use super::weights::LayerNormWeights;
use crate::error::{Error, Result};
use crate::kernels::buffer::Arena;
use crate::kernels::packed::{
    Epilogue, PackedLinear, PackedMatrix, Rows, WeightFormat, row_stride,
};
use crate::kernels::storage::values;
use crate::kernels::team::Worker;
use crate::kernels::vector::Isa;
use crate::model::seam::{BottleneckAdapter, LayerParts, NormPlace, Position};

/// One adapter, its weights packed in f32 whatever the model's format.
pub struct PackedAdapter {
    place: NormPlace,
    norm: LayerNormWeights,
    /// `[bottleneck, d_model]`
    down: PackedLinear,
    /// `[d_model, bottleneck]`
    up: PackedLinear,
}

/// The adapters of a layer.
#[derive(Clone, Default)]
pub struct LayerAdapters {
    pub attention: Option<Arc<PackedAdapter>>,
    pub cross_attention: Option<Arc<PackedAdapter>>,
    pub feed_forward: Option<Arc<PackedAdapter>>,
    pub layer: Option<Arc<PackedAdapter>>,
}

impl LayerAdapters {
    /// # Errors
    /// A bug: an adapter of another width.
    pub fn pack(parts: &LayerParts, d_model: usize) -> Result<Self> {
        let of = |position: Position| {
            let adapter = parts.adapters.get(&position);
            adapter.map(|a| PackedAdapter::pack(a, d_model).map(Arc::new)).transpose()
        };
        Ok(Self {
            attention: of(Position::Attention)?,
            cross_attention: of(Position::CrossAttention)?,
            feed_forward: of(Position::FeedForward)?,
            layer: of(Position::Layer)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<PackedAdapter>> {
        [&self.attention, &self.cross_attention, &self.feed_forward, &self.layer]
            .into_iter()
            .flatten()
    }
    /// The widest bottleneck.
    pub fn width(&self) -> usize {
        self.all().map(|a| row_stride(a.down.weight.n())).max().unwrap_or(0)
    }
    pub fn size_bytes(&self) -> usize {
        self.all().map(|a| a.down.size_bytes() + a.up.size_bytes()).sum()
    }
}

impl PackedAdapter {
    fn pack(adapter: &BottleneckAdapter, d_model: usize) -> Result<Self> {
        let (down, up) = (values(adapter.down.tensor())?, values(adapter.up.tensor())?);
        let (down_bias, up_bias) =
            (values(adapter.down_bias.tensor())?, values(adapter.up_bias.tensor())?);
        let bottleneck = down_bias.len();
        let fits = up_bias.len() == d_model
            && down.len() == bottleneck * d_model
            && up.len() == down.len()
            && bottleneck > 0;
        if !fits {
            return Err(Error::bug("adapter and layer are of different widths"));
        }
        let norm = match &adapter.affine {
            Some((weight, bias)) => LayerNormWeights {
                weight: values(weight.tensor())?.to_vec(),
                bias: values(bias.tensor())?.to_vec(),
            },
            None => LayerNormWeights { weight: vec![1.0; d_model], bias: vec![0.0; d_model] },
        };
        if norm.weight.len() != d_model || norm.bias.len() != d_model {
            return Err(Error::bug("norm and adapter are of different widths"));
        }
        let room = PackedLinear::packed_len(WeightFormat::F32, bottleneck, d_model)
            + PackedLinear::packed_len(WeightFormat::F32, d_model, bottleneck);
        let mut arena = Arena::with_capacity(room);
        let mut pack = |w: &[f32], k: usize, bias: &[f32]| {
            let weight = PackedMatrix::pack(&mut arena, &[w], k);
            PackedLinear::new(&mut arena, weight, &[bias])
        };
        Ok(Self {
            place: adapter.norm,
            norm,
            down: pack(&down, d_model, &down_bias),
            up: pack(&up, bottleneck, &up_bias),
        })
    }

    /// Phases of a team: the adapter on the first `m` rows of `x`, in place. `spare` has rows as `x`
    /// has, `wide` rows that hold either.
    ///
    /// # Safety
    /// `isa` is available, and nobody else touches `x`, `spare` or `wide` in these phases.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn phases(
        &self,
        w: &Worker<'_>,
        isa: Isa,
        x: Rows<'_>,
        spare: Rows<'_>,
        wide: Rows<'_>,
        m: usize,
        d: usize,
    ) {
        // SAFETY: passed on; a barrier ends each phase.
        unsafe {
            match self.place {
                NormPlace::None => {
                    self.down.phase(w, isa, x, wide, m, Epilogue::Relu);
                    self.up.phase(w, isa, wide, x, m, Epilogue::Add);
                }
                NormPlace::Before => {
                    norm_phase(w, isa, &self.norm, x, spare, m, d);
                    self.down.phase(w, isa, spare, wide, m, Epilogue::Relu);
                    self.up.phase(w, isa, wide, x, m, Epilogue::Add);
                }
                NormPlace::After => {
                    self.down.phase(w, isa, x, wide, m, Epilogue::Relu);
                    self.up.phase(w, isa, wide, spare, m, Epilogue::Set);
                    norm_phase(w, isa, &self.norm, spare, wide, m, d);
                    add_phase(w, wide, x, m, d);
                }
            }
        }
    }
}

/// One phase: `y += x` for the first `m` rows.
///
/// # Safety
/// `x` is not written and `y` not touched by anyone else in this phase.
pub(super) unsafe fn add_phase(w: &Worker<'_>, x: Rows<'_>, y: Rows<'_>, m: usize, d: usize) {
    let run = |r: usize| {
        // SAFETY: rows of the first `m`; `y`'s are this piece's own.
        let (x, y) = unsafe { (x.row_mut(r, d), y.row_mut(r, d)) };
        y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
    };
    if m * d < 4096 {
        return w.alone(|| (0..m).for_each(run));
    }
    let chunk = m.div_ceil(w.threads() * 3);
    w.each(m.div_ceil(chunk), |i| (i * chunk..((i + 1) * chunk).min(m)).for_each(run));
}
