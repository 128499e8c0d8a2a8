//! Each composed operation beside its kernel: results, and gradients of everything that leads in. In a build for
//! GPUs also the kernels there.

use std::sync::Arc;

use super::super::{AttentionSpec, FeedForwardWeights, Gate, Gradients, LowRank, Parameter};
use super::*;
use crate::kernels::cross_entropy as kernel;

/// Numbers between -1 and 1.
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32)
        .map(|i| {
            let x = (i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(2_654_435_761);
            (x >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn tensor(dims: &[usize], seed: u32) -> Tensor {
    Tensor::from_vec(numbers(dims.iter().product(), seed), dims, &Device::Cpu).unwrap()
}

fn close(what: &str, a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let (a, b) = (values(a).unwrap(), values(b).unwrap());
    let most = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(&*b).enumerate() {
        assert!((a - b).abs() <= 2e-5 * most.max(1e-2), "{what}[{i}]: {a} beside {b}");
    }
}

/// Parameters of these shapes, those that `trained` counts with slots.
fn parameters(shapes: &[&[usize]], trained: &[bool]) -> Vec<Parameter> {
    let mut slots = 0..;
    (0..)
        .zip(shapes.iter().zip(trained))
        .map(|(i, (dims, trained))| Parameter {
            name: format!("p{i}").into(),
            tensor: tensor(dims, 7 + i),
            slot: if *trained { slots.next() } else { None },
        })
        .collect()
}

/// The CPU, and in a build for GPUs the first one.
fn devices() -> Vec<Device> {
    #[cfg(feature = "cuda")]
    return vec![Device::Cpu, crate::kernels::cuda::tests::gpu()];
    #[cfg(not(feature = "cuda"))]
    vec![Device::Cpu]
}

/// `f` on a tape with kernels and on a composed one, or one on another device: with everything trained, each
/// input alone, and each input frozen.
fn same(what: &str, shapes: &[&[usize]], f: impl Fn(&Tape, &[Value]) -> Result<Value>) {
    let n = shapes.len();
    let mut choices = vec![vec![true; n]];
    for i in 0..n {
        choices.push((0..n).map(|j| j == i).collect());
        choices.push((0..n).map(|j| j != i).collect());
    }
    for trained in choices {
        let all = parameters(shapes, &trained);
        let run = |tape: Tape, device: &Device| {
            let mut all = all.clone();
            all.iter_mut().for_each(|p| p.move_to(device).unwrap());
            let inputs: Vec<Value> = all.iter().map(Parameter::value).collect();
            // Each gradient arrives twice, through a sum.
            let y = f(&tape, &inputs).unwrap();
            let mut gradients = Gradients::new(&all).unwrap();
            let out = y.tensor().clone();
            let seed = tensor(out.dims(), 99).to_device(device).unwrap();
            tape.backward(vec![(y.clone(), seed.clone()), (y, seed)], &mut gradients).unwrap();
            (out, gradients)
        };
        let (want, want_gradients) = run(Tape::recording(), &Device::Cpu);
        for device in devices() {
            let what = format!("{what} on {:?}", device.location());
            let (got, got_gradients) = run(Tape::recording().composed(), &device);
            close(&what, &got, &want);
            for p in all.iter().filter(|p| p.is_trainable()) {
                let (slot, what) = (p.slot.unwrap(), format!("{what}, gradient of {}", p.name));
                match (got_gradients.get(slot), want_gradients.get(slot)) {
                    (Some(g), Some(w)) => close(&what, g, w),
                    (g, w) => assert_eq!(g.is_some(), w.is_some(), "{what}"),
                }
            }
        }
    }
}

#[test]
fn embedding_dropout_residual_and_norm() {
    let positions = tensor(&[9, 4], 3);
    let ids: Arc<[u32]> = [5, 1, 1, 0, 5].into();
    same("embed", &[&[6, 4]], |t, v| t.embed(&v[0], &positions, ids.clone(), &[0, 2, 5], 2, 2.0));
    for d in [Dropout::NONE, Dropout::new(0.4, 11)] {
        same("dropout", &[&[5, 6]], |t, v| t.dropout(&v[0], d));
        same("residual", &[&[5, 6], &[5, 6]], |t, v| t.residual(&v[0], &v[1], d));
        same("twice the same", &[&[5, 6]], |t, v| t.residual(&v[0], &v[0], d));
    }
    same("layer_norm", &[&[5, 7], &[7], &[7]], |t, v| t.layer_norm(&v[0], &v[1], &v[2]));
    // More rows than a block of sums has, and more columns than a warp lanes.
    same("layer_norm", &[&[300, 70], &[70], &[70]], |t, v| t.layer_norm(&v[0], &v[1], &v[2]));
    let many: Arc<[u32]> = (0..90).map(|i| i * i % 7).collect();
    let positions = tensor(&[99, 300], 4);
    same("embed", &[&[8, 300]], |t, v| {
        t.embed(&v[0], &positions, many.clone(), &[0, 40, 90], 2, 0.5)
    });
    same("layer_norm of one", &[&[1, 1], &[1], &[1]], |t, v| t.layer_norm(&v[0], &v[1], &v[2]));
}

#[test]
fn linear_maps() {
    for relu in [false, true] {
        same("linear", &[&[5, 6], &[3, 6]], |t, v| t.linear(&v[0], &v[1], None, relu));
        for shapes in [[&[5, 6][..], &[3, 6], &[3]], [&[150, 5], &[40, 5], &[40]]] {
            same("linear with bias", &shapes, |t, v| t.linear(&v[0], &v[1], Some(&v[2]), relu));
        }
        for d in [Dropout::NONE, Dropout::new(0.3, 5)] {
            let shapes: [&[usize]; 8] =
                [&[5, 6], &[7, 6], &[7], &[2, 6], &[7, 2], &[3, 4], &[4, 3], &[2]];
            same("low_rank_linear", &shapes, |t, v| {
                let whole = LowRank {
                    lora_a: v[3].clone(),
                    lora_b: v[4].clone(),
                    scaling: 0.7,
                    start: 0,
                    dropout: 0.3,
                    gate: None,
                };
                let window = LowRank {
                    lora_a: v[5].clone(),
                    lora_b: v[6].clone(),
                    start: 1,
                    gate: Some(Gate { weights: v[7].clone(), index: 1 }),
                    ..whole.clone()
                };
                t.low_rank_linear(&v[0], &v[1], &v[2], &[whole, window], relu, d)
            });
        }
    }
    same("softmax", &[&[4]], |t, v| t.softmax(&v[0]));
}

#[test]
fn masked_blocks() {
    let shapes: [&[usize]; 5] = [&[4, 3], &[6, 3], &[6], &[5, 6], &[5]];
    for kept in [&[0u32, 2, 3, 5][..], &[4], &[], &[0, 1, 2, 3, 4, 5]] {
        let kept: Arc<[u32]> = kept.into();
        same("masked_feed_forward", &shapes, |t, v| {
            let [w1, b1, w2, b2] = [1, 2, 3, 4].map(|i: usize| v[i].clone());
            t.masked_feed_forward(&v[0], &FeedForwardWeights { w1, b1, w2, b2 }, &kept)
        });
        same("keep_rows", &[&[6, 3]], |t, v| t.keep_rows(&v[0], &kept));
    }
}

#[test]
fn attention_over_unequal_sentences() {
    let offsets = |o: &[usize]| -> Arc<[usize]> { o.into() };
    let cases = [
        // Self-attention, causal and not; one word; a sentence without queries.
        (offsets(&[0, 3, 4, 9]), offsets(&[0, 3, 4, 9])),
        (offsets(&[0, 1]), offsets(&[0, 1])),
        (offsets(&[0, 2, 2, 4]), offsets(&[0, 5, 6, 9])),
    ];
    // Heads and sentences that fill more than a warp.
    let long = (offsets(&[0, 41, 42]), offsets(&[0, 70, 75]));
    let cases = cases.into_iter().map(|c| (c, 6)).chain([(long, 140)]);
    for ((q, k), width) in cases {
        for causal in [false, true] {
            for dropout in [Dropout::NONE, Dropout::new(0.3, 17)] {
                let spec = AttentionSpec {
                    heads: 2,
                    q_offsets: q.clone(),
                    k_offsets: k.clone(),
                    causal,
                    dropout,
                    k_rows: None,
                };
                let (nq, nk) = (*q.last().unwrap(), *k.last().unwrap());
                same("attention", &[&[nq, width], &[nk, width], &[nk, width]], |t, v| {
                    t.attention(&v[0], &v[1], &v[2], spec.clone())
                });
            }
        }
    }
}

#[test]
fn rows_of_matrices() {
    same("gather_rows", &[&[5, 3]], |t, v| t.gather_rows(&v[0], [4, 0, 4].into()));
    same("row", &[&[3, 6]], |t, v| t.row(&v[0], 1, &[2, 3], 0.5, 1.0));
    same("concat_rows", &[&[2], &[3]], |t, v| {
        let (a, b) = (Some(v[0].clone()), Some(v[1].clone()));
        let rows = [vec![a.clone(), b.clone()], vec![None, b], vec![a, None]];
        t.concat_rows(&rows, &[2, 3], v[0].tensor().device())
    });
    let none =
        Tape::disabled().composed().concat_rows(&[vec![None], vec![None]], &[2], &Device::Cpu);
    assert_eq!(none.unwrap().tensor().to_vec2::<f32>().unwrap(), [[0.0; 2]; 2]);
}

#[test]
fn segments_that_are_computed_again() {
    same("segment", &[&[4, 3], &[3, 3]], |t, v| {
        let (x, w) = (v[0].clone(), v[1].clone());
        t.segment(&(), move |t, _| {
            let y = t.linear(&x, &w, None, true)?;
            t.residual(&x, &y, Dropout::NONE)
        })
    });
    // The same with checkpoints, which the helper has no tape for.
    let all = parameters(&[&[4, 3], &[3, 3]], &[true, true]);
    let run = |tape: Tape| {
        let (x, w) = (all[0].value(), all[1].value());
        let y = tape.segment(&(), move |t, _| t.linear(&x, &w, None, true)).unwrap();
        let mut gradients = Gradients::new(&all).unwrap();
        let seed = tensor(y.tensor().dims(), 5);
        tape.backward(vec![(y, seed)], &mut gradients).unwrap();
        gradients
    };
    let (plain, again) = (run(Tape::recording()), run(Tape::checkpointing().composed()));
    for slot in 0..2 {
        close("checkpoint", again.get(slot).unwrap(), plain.get(slot).unwrap());
    }
}

/// Products of rounded values: near, and not the same.
#[test]
fn products_in_bf16() {
    let (x, w) = (tensor(&[6, 40], 1), tensor(&[5, 40], 2));
    let (fine, coarse) = (product(&x, &w.t().unwrap(), false), product(&x, &w.t().unwrap(), true));
    let (fine, coarse) = (fine.unwrap(), coarse.unwrap());
    assert_eq!(coarse.dtype(), DType::F32);
    let off: Vec<f32> = (fine - &coarse).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let most = off.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(most > 1e-4 && most < 0.1, "{most}");
    // Sums are not rounded: they are those of rounded factors.
    let rounded = |t: &Tensor| wide(&t.to_dtype(DType::BF16).unwrap()).unwrap();
    let exact = rounded(&x).matmul(&rounded(&w).t().unwrap()).unwrap();
    close("rounded factors", &coarse, &exact);
    for device in devices() {
        // Either factor as it lies and across, with sizes that fill no tile.
        let on = |t: &Tensor| t.to_device(&device).unwrap();
        let (xt, wt) = (x.t().unwrap().contiguous().unwrap(), w.t().unwrap().contiguous().unwrap());
        for a in [on(&x), on(&xt).t().unwrap()] {
            for b in [on(&wt), on(&w).t().unwrap()] {
                close("product on a device", &product(&a, &b, true).unwrap(), &exact);
            }
        }
        close("product_t", &product_t(&on(&x), &on(&w), true).unwrap(), &exact);
    }
    let all = parameters(&[&[4, 3], &[3, 3]], &[true, true]);
    let run = |tape: Tape| {
        let y = tape.linear(&all[0].value(), &all[1].value(), None, false).unwrap();
        y.tensor().to_vec2::<f32>().unwrap()
    };
    // Kernels of the CPU compute in f32 whatever is asked of other devices.
    assert_eq!(run(Tape::recording()), run(Tape::recording().in_bf16()));
    assert_ne!(run(Tape::recording().composed()), run(Tape::recording().composed().in_bf16()));
}

#[test]
fn cross_entropy_and_its_gradients() {
    let (tokens, width, vocab) = (6, 4, 700);
    let (h, w) = (tensor(&[tokens, width], 1), tensor(&[vocab, width], 2));
    let (bias, labels) = (numbers(vocab, 3), [0u32, 699, 3, 3, 1, 7]);
    let weights = [1.0f32, 0.5, 0.0, 2.0, 1.0, 1.0];
    for smoothing in [0.0, 0.1] {
        for (bias, weights) in [(None, None), (Some(&bias[..]), Some(&weights[..]))] {
            let inputs = CrossEntropy {
                hidden: &h,
                weight: &w,
                bias,
                labels: &labels,
                weights,
                smoothing,
                in_bf16: false,
            };
            let (hv, wv) = (values(&h).unwrap(), values(&w).unwrap());
            let of_kernel = kernel::Inputs {
                hidden: &hv,
                weight: (&*wv).into(),
                bias,
                labels: &labels,
                weights,
                smoothing,
                width,
            };
            let (mut dh, mut dw) = (vec![0f32; tokens * width], vec![0f32; vocab * width]);
            let want = kernel::forward_backward(&of_kernel, 0.25, &mut dh, Some((&mut dw, false)));
            let shaped = |v, dims: &[usize]| Tensor::from_vec(v, dims, &Device::Cpu).unwrap();
            let (dh, dw) = (shaped(dh, &[tokens, width]), shaped(dw, &[vocab, width]));
            for device in devices() {
                let (hidden, weight) =
                    (&h.to_device(&device).unwrap(), &w.to_device(&device).unwrap());
                let inputs = CrossEntropy { hidden, weight, ..inputs };
                let (got, found) = cross_entropy(&inputs, Some(0.25), true).unwrap();
                assert!((got.loss - want.loss).abs() < 1e-5 && (got.nll - want.nll).abs() < 1e-5);
                let found = found.unwrap();
                close("dh", &found.hidden, &dh);
                close("dw", &found.weight.unwrap(), &dw);
                let (only, none) = cross_entropy(&inputs, None, false).unwrap();
                assert!(none.is_none() && only == got);
            }
        }
    }
}
