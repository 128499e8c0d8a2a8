//! What share of this processor the work gets.
//!
//! `cargo bench --bench peak` measures what all threads together can do, multiply-adds in
//! registers and bytes read from memory, and beside it, in turns: the matrix products of a training
//! step, whole steps (full, LoRA, adapters), and greedy decoding of one sentence, which reads all weights
//! for each token. Shares are medians of the ratios within a turn, because what the processor can
//! do changes while other work runs on it. `-- A` runs one shape.

mod shapes;
#[allow(
    dead_code,
    reason = "a benchmark starts as the program does, but sets its threads by itself"
)]
#[path = "../../src/startup.rs"]
mod startup;
mod step;

use std::error::Error;
use std::time::Instant;

use isogloss::decoding::{DecodingOptions, MaxNewTokens, Session, Target};
use isogloss::kernels::linear;
use isogloss::kernels::parallel;
use isogloss::kernels::vector::Isa;
use isogloss::model::ModelConfig;
use isogloss::model::inference::{Decoder, InferenceModel};
use step::{Bench, LEN, Method};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const TURNS: usize = 9;

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

/// Multiply-adds in registers, enough at once for every unit, some milliseconds; how many
/// operations it was, multiplications and additions counted apart. Where the instructions are not
/// known here it is none.
fn spin(isa: Isa) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        const ROUNDS: u64 = 1 << 19;
        // SAFETY: the instructions are there, as `isa` says; they change vector registers and the
        // counter, and all of them are named.
        unsafe {
            match isa {
                Isa::Avx512 => {
                    std::arch::asm!(
                    "vpxor xmm14, xmm14, xmm14",
                    "vpxor xmm15, xmm15, xmm15",
                    "2:",
                    "vfmadd231ps zmm0, zmm14, zmm15",
                    "vfmadd231ps zmm1, zmm14, zmm15",
                    "vfmadd231ps zmm2, zmm14, zmm15",
                    "vfmadd231ps zmm3, zmm14, zmm15",
                    "vfmadd231ps zmm4, zmm14, zmm15",
                    "vfmadd231ps zmm5, zmm14, zmm15",
                    "vfmadd231ps zmm6, zmm14, zmm15",
                    "vfmadd231ps zmm7, zmm14, zmm15",
                    "vfmadd231ps zmm8, zmm14, zmm15",
                    "vfmadd231ps zmm9, zmm14, zmm15",
                    "vfmadd231ps zmm10, zmm14, zmm15",
                    "vfmadd231ps zmm11, zmm14, zmm15",
                    "vfmadd231ps zmm12, zmm14, zmm15",
                    "vfmadd231ps zmm13, zmm14, zmm15",
                    "vfmadd231ps zmm16, zmm14, zmm15",
                    "vfmadd231ps zmm17, zmm14, zmm15",
                    "vfmadd231ps zmm18, zmm14, zmm15",
                    "vfmadd231ps zmm19, zmm14, zmm15",
                    "vfmadd231ps zmm20, zmm14, zmm15",
                    "vfmadd231ps zmm21, zmm14, zmm15",
                    "vfmadd231ps zmm22, zmm14, zmm15",
                    "vfmadd231ps zmm23, zmm14, zmm15",
                    "vfmadd231ps zmm24, zmm14, zmm15",
                    "vfmadd231ps zmm25, zmm14, zmm15",
                    "dec {n}",
                    "jnz 2b",
                    n = inout(reg) ROUNDS => _,
                    out("zmm0") _,
                    out("zmm1") _,
                    out("zmm2") _,
                    out("zmm3") _,
                    out("zmm4") _,
                    out("zmm5") _,
                    out("zmm6") _,
                    out("zmm7") _,
                    out("zmm8") _,
                    out("zmm9") _,
                    out("zmm10") _,
                    out("zmm11") _,
                    out("zmm12") _,
                    out("zmm13") _,
                    out("zmm16") _,
                    out("zmm17") _,
                    out("zmm18") _,
                    out("zmm19") _,
                    out("zmm20") _,
                    out("zmm21") _,
                    out("zmm22") _,
                    out("zmm23") _,
                    out("zmm24") _,
                    out("zmm25") _,
                    out("zmm14") _,
                    out("zmm15") _,
                    options(nomem, nostack),
                    );
                    return ROUNDS as f64 * 24.0 * 32.0;
                }
                Isa::Avx2 => {
                    std::arch::asm!(
                    "vpxor xmm14, xmm14, xmm14",
                    "vpxor xmm15, xmm15, xmm15",
                    "2:",
                    "vfmadd231ps ymm0, ymm14, ymm15",
                    "vfmadd231ps ymm1, ymm14, ymm15",
                    "vfmadd231ps ymm2, ymm14, ymm15",
                    "vfmadd231ps ymm3, ymm14, ymm15",
                    "vfmadd231ps ymm4, ymm14, ymm15",
                    "vfmadd231ps ymm5, ymm14, ymm15",
                    "vfmadd231ps ymm6, ymm14, ymm15",
                    "vfmadd231ps ymm7, ymm14, ymm15",
                    "vfmadd231ps ymm8, ymm14, ymm15",
                    "vfmadd231ps ymm9, ymm14, ymm15",
                    "vfmadd231ps ymm10, ymm14, ymm15",
                    "vfmadd231ps ymm11, ymm14, ymm15",
                    "dec {n}",
                    "jnz 2b",
                    n = inout(reg) ROUNDS => _,
                    out("ymm0") _,
                    out("ymm1") _,
                    out("ymm2") _,
                    out("ymm3") _,
                    out("ymm4") _,
                    out("ymm5") _,
                    out("ymm6") _,
                    out("ymm7") _,
                    out("ymm8") _,
                    out("ymm9") _,
                    out("ymm10") _,
                    out("ymm11") _,
                    out("ymm14") _,
                    out("ymm15") _,
                    options(nomem, nostack),
                    );
                    return ROUNDS as f64 * 12.0 * 16.0;
                }
                Isa::Portable => {}
            }
        }
    }
    let _ = isa;
    0.0
}

/// Operations a second of all threads.
fn peak(isa: Isa, threads: usize) -> f64 {
    let start = Instant::now();
    let each = parallel::map(0..4 * threads, |_| spin(isa));
    each.iter().sum::<f64>() / start.elapsed().as_secs_f64()
}

/// Bytes a second that all threads read, of more than the caches hold.
fn bandwidth(memory: &[f32]) -> f64 {
    let start = Instant::now();
    let sums = parallel::map(memory.chunks(1 << 18), |c| {
        let mut sums = [0f32; 64];
        for c in c.as_chunks::<64>().0 {
            sums.iter_mut().zip(c).for_each(|(s, v)| *s += v);
        }
        sums.iter().sum::<f32>()
    });
    std::hint::black_box(sums);
    4.0 * memory.len() as f64 / start.elapsed().as_secs_f64()
}

/// Runs both in turns; medians of what `work` does a second, of the peak, and of their ratio.
/// `work` returns how much it did.
fn share(
    mut peak: impl FnMut() -> f64,
    mut work: impl FnMut() -> Outcome<f64>,
) -> Outcome<(f64, f64, f64)> {
    let (mut rates, mut peaks, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let before = peak();
        let start = Instant::now();
        let rate = work()? / start.elapsed().as_secs_f64();
        let most = (before + peak()) / 2.0;
        // The first turn warms up.
        if turn > 0 {
            rates.push(rate);
            peaks.push(most);
            shares.push(rate / most);
        }
    }
    Ok((median(rates), median(peaks), median(shares)))
}

fn show(name: &str, unit: &str, (rate, most, share): (f64, f64, f64)) {
    println!("{name:44} {:7.1} of {:7.1} {unit}   {:4.0} %", rate / 1e9, most / 1e9, 100.0 * share);
}

/// The products of one linear map, as often as takes some tens of milliseconds.
fn products(isa: Isa, threads: usize, (rows, inp, out): (usize, usize, usize)) -> Outcome {
    let values = |n: usize| -> Vec<f32> { (0..n).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect() };
    let (x, w, dy) = (values(rows * inp), values(out * inp), values(rows * out));
    let (mut dx, mut dw) = (values(rows * inp), values(out * inp));
    let flops = 2.0 * (rows * inp * out) as f64;
    let times = (1e10 / flops).ceil() as usize;
    let name = |what: &str| format!("{what} {rows} x {inp} x {out}");
    let case = |what: &str, f: &mut dyn FnMut()| -> Outcome {
        let figures = share(
            || peak(isa, threads),
            || {
                (0..times).for_each(|_| f());
                Ok(times as f64 * flops)
            },
        )?;
        show(&name(what), "GFLOP/s", figures);
        Ok(())
    };
    case("x Wt", &mut || drop(linear::forward(&x, &w, None, inp, false)))?;
    case("dy W", &mut || linear::grad_input(&dy, &w, inp, &mut dx, false))?;
    case("dyt x", &mut || linear::grad_weight(&dy, &x, inp, &mut dw, false))
}

/// Multiplications and additions of a step on `tokens` source and as many target tokens; of the
/// attention the full squares, although half of a causal one is masked.
fn step_flops(c: &ModelConfig, tokens: usize, method: Method) -> f64 {
    let (d, n) = (c.d_model as f64, tokens as f64);
    // Forward, to the input, to the matrix: a frozen one gets no gradient.
    let products = if method == Method::Full { 3.0 } else { 2.0 };
    let map = |inp: f64, out: f64| match method {
        Method::Lora(rank) => products * inp * out + 3.0 * rank as f64 * (inp + out),
        _ => products * inp * out,
    };
    let adapter = match method {
        Method::Adapter(bottleneck) => 6.0 * d * bottleneck as f64,
        _ => 0.0,
    };
    let side = |layers: usize, maps: f64, attentions: f64, ffn: usize| {
        let f = ffn as f64;
        // Two products forward, four back.
        let attention = attentions * 6.0 * LEN as f64 * d;
        layers as f64 * (maps * map(d, d) + map(d, f) + map(f, d) + attention + adapter)
    };
    2.0 * n
        * (side(c.encoder_layers, 4.0, 1.0, c.encoder_ffn_dim)
            + side(c.decoder_layers, 8.0, 2.0, c.decoder_ffn_dim)
            + products * d * c.vocab_size as f64)
}

/// Greedy tokens of one sentence: what is read for each is every weight of the decoder and of the
/// output layer, four bytes each.
fn decoding(memory: &[f32], shape: &str, threads: usize) -> Outcome {
    let config = shapes::config(shape)?;
    let set = shapes::parameters(&config, false)?;
    let values = |name: &str, _: &[usize]| -> isogloss::Result<Vec<f32>> {
        Ok(set.get(name)?.tensor.flatten_all()?.to_vec1::<f32>()?)
    };
    let model = InferenceModel::from_source(&config, values, None)?;
    drop(set);
    let (d, f) = (config.d_model as f64, config.decoder_ffn_dim as f64);
    let weights =
        config.decoder_layers as f64 * (6.0 * d * d + 2.0 * d * f) + d * config.vocab_size as f64;
    const TOKENS: usize = 200;
    let source: Vec<u32> = (0..LEN as u32).map(|i| 10 + i * 7).collect();
    let figures = share(
        || bandwidth(memory),
        || {
            let options = DecodingOptions {
                max_new_tokens: MaxNewTokens::Fixed(TOKENS),
                min_new_tokens: TOKENS,
                ..Default::default()
            };
            let mut session: Session<_, usize> =
                Session::new(Decoder::new(&model, threads, options.beam_size), options);
            let sentence = (0, source.clone(), Target::Search { forced: Vec::new() });
            session.admit(model.base_weights(), vec![sentence])?;
            while session.num_active() > 0 {
                session.step(model.base_weights())?;
            }
            Ok(4.0 * weights * TOKENS as f64)
        },
    )?;
    show(&format!("decoding, shape {shape}, batch 1, greedy"), "GB/s   ", figures);
    Ok(())
}

fn main() -> Outcome {
    startup::keep_freed_memory();
    let shapes: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let isa = Isa::detect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}, {threads} threads; medians of {TURNS} turns", isa.name());
    // Twice what the caches of a large server hold.
    let memory = vec![1f32; 256 << 20];
    for shape in ["A", "B"] {
        if !shapes.is_empty() && !shapes.iter().any(|s| s == shape) {
            continue;
        }
        let c = shapes::config(shape)?;
        let (d, f, v) = (c.d_model, c.encoder_ffn_dim, c.vocab_size);
        products(isa, threads, (2048, d, d))?;
        products(isa, threads, (2048, d, f))?;
        products(isa, threads, (2048, f, d))?;
        products(isa, threads, (512, d, v))?;
        let methods = [
            ("full step", Method::Full),
            ("LoRA step, rank 8", Method::Lora(8)),
            ("adapter step, width 64", Method::Adapter(64)),
        ];
        for (name, method) in methods {
            let mut bench = Bench::new(shape, 2048, method)?;
            let flops = step_flops(&c, 2048, method);
            let figures = share(
                || peak(isa, threads),
                || {
                    bench.step()?;
                    Ok(flops)
                },
            )?;
            show(&format!("{name}, shape {shape}, 2048 tokens"), "GFLOP/s", figures);
        }
        decoding(&memory, shape, threads)?;
    }
    Ok(())
}
