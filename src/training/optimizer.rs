//! Adam and AdamW with visible state: moments can be saved, read back and compared.

use serde::{Deserialize, Serialize};

use crate::autograd::{Gradients, Parameter};
use crate::error::{Error, Result};
use crate::kernels::adam;
#[cfg(feature = "cuda")]
use crate::kernels::cuda;
use crate::kernels::storage::{change3, replace, values};
use candle_core::{DType, Tensor};

/// What does not change from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamSettings {
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    /// AdamW: decay acts on the weights, not through the gradient.
    pub decoupled: bool,
}

/// First and second moments of one parameter, of its shape and on its device.
#[derive(Clone, Debug)]
pub struct Moments {
    pub first: Tensor,
    pub second: Tensor,
    /// Updates the parameter has had: as in PyTorch, one without a gradient is passed over, and
    /// the bias of its moments is corrected by its own count. Parts of a language rest while
    /// others train.
    pub step: u64,
}

/// Optimizer state for all trainable parameters, in slot order.
pub struct Adam {
    settings: AdamSettings,
    moments: Vec<Moments>,
    /// Updates made so far.
    step: u64,
}

impl Adam {
    pub fn new<'a>(
        settings: AdamSettings,
        trainable: impl IntoIterator<Item = &'a Parameter>,
    ) -> Result<Self> {
        let moments = trainable
            .into_iter()
            .map(|p| {
                let zeros = || Tensor::zeros(p.tensor.shape(), DType::F32, p.tensor.device());
                Ok(Moments { first: zeros()?, second: zeros()?, step: 0 })
            })
            .collect::<Result<_>>()?;
        Ok(Self { settings, moments, step: 0 })
    }

    /// State read back from a checkpoint; moments in slot order.
    pub fn restored(settings: AdamSettings, moments: Vec<Moments>, step: u64) -> Self {
        Self { settings, moments, step }
    }
    pub fn step(&self) -> u64 {
        self.step
    }
    pub fn moments(&self, slot: usize) -> &Moments {
        &self.moments[slot]
    }

    /// The norm of all gradients together, before scaling.
    pub fn gradient_norm(gradients: &Gradients) -> Result<f64> {
        let mut sum = 0.0;
        // Sums on another device come over together.
        let mut elsewhere = Vec::new();
        for g in (0..gradients.len()).filter_map(|slot| gradients.get(slot)) {
            if g.device().is_cpu() {
                sum += adam::sum_of_squares(&values(g)?);
            } else {
                elsewhere.push(g);
            }
        }
        #[cfg(feature = "cuda")]
        if elsewhere.first().is_some_and(|g| g.device().is_cuda()) {
            return Ok((sum + cuda::norm_of(&elsewhere)?).sqrt());
        }
        if !elsewhere.is_empty() {
            let sums = elsewhere.iter().map(|g| g.sqr()?.sum_all());
            let sums = Tensor::stack(&sums.collect::<Result<Vec<_>, _>>()?, 0)?.to_vec1::<f32>()?;
            sum += sums.into_iter().map(f64::from).sum::<f64>();
        }
        Ok(sum.sqrt())
    }

    /// One update of every parameter that has a gradient; gradients are multiplied by
    /// `grad_scale` first.
    pub fn update<'a>(
        &mut self,
        trainable: impl IntoIterator<Item = &'a Parameter>,
        gradients: &Gradients,
        lr: f64,
        grad_scale: f64,
    ) -> Result<()> {
        self.step += 1;
        let s = &self.settings;
        let settings = adam::Step {
            lr: lr as f32,
            beta1: s.beta1 as f32,
            beta2: s.beta2 as f32,
            eps: s.eps as f32,
            weight_decay: s.weight_decay as f32,
            decoupled: s.decoupled,
            grad_scale: grad_scale as f32,
            step: 0,
        };
        #[cfg(feature = "cuda")]
        let mut on_gpu = Vec::new();
        for p in trainable {
            let slot = p.slot.ok_or_else(|| Error::bug("update of a frozen parameter"))?;
            if let Some(g) = gradients.get(slot) {
                let m = &mut self.moments[slot];
                m.step += 1;
                let step = adam::Step { step: m.step, ..settings };
                if p.tensor.device().is_cpu() {
                    let g = values(g)?;
                    change3([&p.tensor, &m.first, &m.second], |w, first, second| {
                        adam::update(w, first, second, &g, &step);
                    })?;
                    continue;
                }
                #[cfg(feature = "cuda")]
                if p.tensor.device().is_cuda() {
                    on_gpu.push((&p.tensor, slot, g.contiguous()?, step));
                    continue;
                }
                composed_update(&p.tensor, m, g, &step)?;
            }
        }
        #[cfg(feature = "cuda")]
        {
            let part = |(w, slot, gradient, step)| {
                let Moments { first, second, .. }: &Moments = &self.moments[slot];
                cuda::Part { w, first, second, gradient, step }
            };
            cuda::update(&on_gpu.into_iter().map(part).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// [`adam::update`] put together from operations of the tensor library, on any device.
fn composed_update(w: &Tensor, m: &mut Moments, g: &Tensor, s: &adam::Step) -> Result<()> {
    let of = f64::from;
    let (b1, b2) = (of(s.beta1), of(s.beta2));
    let mut g = (g * of(s.grad_scale))?;
    if !s.decoupled && s.weight_decay != 0.0 {
        g = (g + (w * of(s.weight_decay))?)?;
    }
    m.first = ((&m.first * b1)? + (&g * (1.0 - b1))?)?;
    m.second = ((&m.second * b2)? + (g.sqr()? * (1.0 - b2))?)?;
    let t = s.step as i32;
    let root = (&m.second * (1.0 / (1.0 - b2.powi(t))))?.sqrt()?;
    let change = (&m.first / (root + of(s.eps))?)?;
    let shrink = if s.decoupled { 1.0 - of(s.lr) * of(s.weight_decay) } else { 1.0 };
    replace(w, &((w * shrink)? - (change * (of(s.lr) / (1.0 - b1.powi(t))))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn composed_is_what_the_kernel_does() {
        for decoupled in [false, true] {
            let start = [0.5f32, -2.0, 0.0, 1e-3];
            let tensor = |v: &[f32]| Tensor::from_slice(v, v.len(), &Device::Cpu).unwrap();
            let (w, mut m) = (
                tensor(&start),
                Moments { first: tensor(&[0.0; 4]), second: tensor(&[0.0; 4]), step: 0 },
            );
            let (mut kw, mut km, mut kv) = (start, [0f32; 4], [0f32; 4]);
            for step in 1..=4u64 {
                let g = [0.3 * step as f32, -0.1, 1e-4, 7.0];
                let s = adam::Step {
                    lr: 0.01,
                    beta1: 0.9,
                    beta2: 0.98,
                    eps: 1e-6,
                    weight_decay: 0.1,
                    decoupled,
                    grad_scale: 0.5,
                    step,
                };
                composed_update(&w, &mut m, &tensor(&g), &s).unwrap();
                adam::update(&mut kw, &mut km, &mut kv, &g, &s);
            }
            let pairs = [(&w, kw), (&m.first, km), (&m.second, kv)];
            for (t, k) in pairs {
                for (a, b) in values(t).unwrap().iter().zip(k) {
                    assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{a} {b}");
                }
            }
        }
    }

    /// Tensors of several blocks and of a part of one, some without a gradient, as on the CPU.
    #[cfg(feature = "cuda")]
    #[test]
    fn all_tensors_at_once_are_what_each_is() {
        use crate::autograd::Tape;
        let gpu = crate::kernels::cuda::tests::gpu();
        let sizes = [5000, 3, 4096, 1, 40];
        let settings =
            AdamSettings { beta1: 0.9, beta2: 0.98, eps: 1e-6, weight_decay: 0.1, decoupled: true };
        let wave = |n: usize, by: f32| (0..n).map(|i| (i as f32 * by).sin()).collect::<Vec<_>>();
        let run = |device: &Device| {
            let parameters: Vec<Parameter> = (0..)
                .zip(sizes)
                .map(|(i, n)| Parameter {
                    name: format!("p{i}").into(),
                    tensor: Tensor::from_vec(wave(n, 0.7), n, device).unwrap(),
                    slot: Some(i),
                })
                .collect();
            let mut adam = Adam::new(settings, &parameters).unwrap();
            let mut gradients = Gradients::new(&parameters).unwrap();
            let mut norms = Vec::new();
            for step in 1..=3 {
                gradients.clear();
                for p in parameters.iter().filter(|p| step != 2 || p.slot != Some(3)) {
                    let tape = Tape::recording();
                    let n = p.tensor.elem_count();
                    let seed = wave(n, 0.3 * step as f32);
                    let seed = Tensor::from_vec(seed, n, device).unwrap();
                    tape.backward(vec![(p.value(), seed)], &mut gradients).unwrap();
                }
                norms.push(Adam::gradient_norm(&gradients).unwrap());
                adam.update(&parameters, &gradients, 0.01, 0.5).unwrap();
            }
            let moments = (0..sizes.len()).map(|i| adam.moments(i).clone());
            let moments: Vec<Tensor> = moments.flat_map(|m| [m.first, m.second]).collect();
            (norms, parameters.into_iter().map(|p| p.tensor).chain(moments).collect::<Vec<_>>())
        };
        let ((norms, found), (want_norms, want)) = (run(&gpu), run(&Device::Cpu));
        for (a, b) in norms.iter().zip(want_norms) {
            assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
        }
        for (a, b) in found.iter().zip(&want) {
            for (a, b) in values(a).unwrap().iter().zip(&*values(b).unwrap()) {
                assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-2), "{a} {b}");
            }
        }
    }
}
