//! `isogloss train`: train or fine-tune a model.

mod adapter_args;
mod adapters;
mod args;
mod dry_run;
mod hyper;
mod indexed;
mod lora;
mod lora_args;
mod memory;
mod method;
mod observer;
mod processes;
mod resume;
mod scorer;
mod task_args;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use crate::cli::Context;
use crate::cli::values::{Dtype, refuse_two_stdin};
use crate::commands::masks::{CARRIED, LoadedMasks};
use crate::commands::pairs::warn_about;
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::formats::adapters as adapter_files;
use crate::formats::hypernet;
use crate::formats::provenance::{Parent, Provenance, display_name, hex};
use crate::io::{Input, available_bytes, resident_bytes};
use crate::model::checkpoint::parameter_shapes;
use crate::model::{Checkpoint, DirectionParts, FrozenType, M2m100, ParameterSet};
use crate::text::{Direction, TextTokenizer};
use crate::training::{
    Adam, AdamSettings, Corpus, Extras, LrSchedule, ModelSource, ParameterGroup, STOP_SIGNAL,
    Sampler, Session, SessionOptions, TagHead, Trainer, TrainerOptions, follow, is_trained,
    latest_checkpoint, read_moments, trained_parameters,
};
pub use args::{Args, Method, OptimizerKind, OutputFormat};
use dry_run::{Plan, dry_run};
use memory::MemoryPlan;
use method::NewMethod;
use observer::TrainObserver;
use resume::{Identity, check_run};
use scorer::ValidMetrics;
use task_args::Half;

/// Width of adapters, unless it is given.
const DEFAULT_BOTTLENECK: usize = 64;
/// Of adapters or a hyper-network: 16 GiB, and as much for each of gradients and both moments.
const MAX_PARAMS: usize = 1 << 32;

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.check()?;
    let launch = args.joined(context.launch);
    let num_ranks = processes::num_ranks(args, launch)?;
    if context.dry_run && launch.is_some_and(|l| l.rank > 0) {
        return Ok(Outcome::Ok);
    }
    let mut ranks = processes::join(launch.filter(|_| !context.dry_run), context.device())?;
    let read = |paths: &[String]| paths.iter().map(|p| Input::parse(p)).collect::<Vec<_>>();
    let (train, valid) = (read(&args.train), read(&args.valid));
    let named = train.iter().map(|i| ("--train", i)).chain(valid.iter().map(|i| ("--valid", i)));
    refuse_two_stdin(named)?;
    let groups = |texts: &[String], flag: &str| {
        texts
            .iter()
            .map(|t| ParameterGroup::parse(t).map_err(|e| e.flag(flag)))
            .collect::<Result<Vec<_>>>()
    };
    let freeze = groups(&args.freeze, "--freeze")?;
    let train_only = groups(&args.train_only, "--train-only")?;
    let frozen = match context.dtype() {
        Some(Dtype::Bf16) => FrozenType::Bf16,
        _ => FrozenType::F32,
    };
    let settings = args.settings(context, frozen, num_ranks)?;
    let metrics = ValidMetrics::new(args)?;
    metrics.check_best(&args.best_metric)?;

    let base = Checkpoint::open(&args.model)?;
    let weights = match (&args.init_from, args.method) {
        (Some(path), Method::Full) => Some(Checkpoint::open(path)?),
        _ => None,
    };
    let tokenizer = args.marks.tokenizer(&base)?;
    let own = tokenizer.convention();
    let tokenizer = args.marks.with_parts(tokenizer, [args.init_from.as_deref()])?;
    let other = (tokenizer.convention() != own).then(|| tokenizer.convention());
    let convention = args.marks.convention().or(other);
    let masks = args.neuron_masks.load(weights.as_ref().unwrap_or(&base))?;
    let mut config = base.config.clone();
    config.dropout = args.dropout.unwrap_or(config.dropout);
    config.attention_dropout = args.attention_dropout.unwrap_or(config.attention_dropout);
    config.activation_dropout = args.activation_dropout.unwrap_or(config.activation_dropout);

    let learns_rows = !args.adapters.new_language.is_empty();
    let mut corpus = read_corpus(args, context, &args.train, &tokenizer, &base, "train")?;
    let head = args.tasks.head_to_begin_from(args, &base)?;
    // Rows of new languages are learned for the tags there are.
    let known = head.as_ref().filter(|_| learns_rows).map(TagHead::tags);
    args.tasks.read(args, context, &mut corpus, (&tokenizer, &base), (Half::Train, known))?;
    let corpus = Arc::new(corpus);
    let mut valid = read_corpus(args, context, &args.valid, &tokenizer, &base, "valid")?;
    let tags = (Half::HeldOut, Some(&*corpus.tags));
    args.tasks.read(args, context, &mut valid, (&tokenizer, &base), tags)?;
    let valid = (!valid.directions.is_empty()).then_some(valid);
    let parts = direction_parts(masks.as_ref(), &base, &[Some(&corpus), valid.as_ref()])?;
    let carried = weights.as_ref().unwrap_or(&base).dir().join(CARRIED);
    if masks.is_none() && carried.is_file() {
        context.report.warning(
            &Error::artifact("the model was trained with neuron masks and is now trained without")
                .at(&carried)
                .hint(format!("`--masks {}` keeps them", carried.display())),
        );
    }
    let beside = weights.as_ref().unwrap_or(&base).dir();
    let parts_beside = [hypernet::FILE, adapter_files::FILE];
    let goes_on = args.method != Method::Full && args.init_from.is_some();
    if let Some(file) =
        parts_beside.iter().map(|f| beside.join(f)).find(|f| f.is_file() && !goes_on)
    {
        context.report.warning(
            &Error::artifact("the model was trained with adapters and is now trained without them")
                .at(file)
                .hint(
                    "its layers expect them; `--init-from` of the same method continues with them",
                ),
        );
    }
    if args.max_steps.is_some_and(|n| args.warmup_steps >= n) && args.warmup_steps > 0 {
        context.report.warning(
            &Error::usage("the run ends before the learning rate has reached its height")
                .flag("--warmup-steps")
                .found(args.warmup_steps.to_string())
                .hint("lower `--warmup-steps`, or raise `--max-steps`"),
        );
    }
    args.lora.warn_about(args, context);
    let data_sha256 = corpus.sha256();
    let valid_sha256 = valid.as_ref().map(Corpus::sha256);
    let base_sha256 = weights.as_ref().unwrap_or(&base).sha256()?;
    let config_sha256 = hex(&Sha256::digest(
        serde_json::to_vec(&config)
            .map_err(|e| Error::bug("cannot encode the configuration").cause(e.to_string()))?,
    ));

    let held = resident_bytes().unwrap_or(0);
    let new = NewMethod::create(args, context, &base, &base_sha256, &corpus)?;
    let train_base = args.adapters.base_groups(args.method)?;
    let is_full = new.is_none();
    let trained = |name: &str| match is_full {
        true => is_trained(name, &freeze, &train_only),
        false => train_base.iter().any(|g| g.holds(name)),
    };
    let first_slot = parameter_shapes(&config).keys().filter(|name| trained(name)).count();
    let trains_base = first_slot > 0;
    if is_full && !trains_base {
        return Err(
            Error::usage("every parameter is frozen: nothing would be trained").flag("--freeze")
        );
    }
    let about = new.as_ref().map(|new| new.about(ParameterSet::count(&config)));
    let mut method = match new {
        None => None,
        Some(new) => {
            let name = display_name(&args.model);
            Some(new.training(&corpus, valid.as_ref(), context, (&config, name), first_slot)?)
        }
    };
    let bias = base.final_logits_bias()?;
    let sampler_settings = memory::sampler_settings(args, context.seed);
    let mut sampler = Sampler::new(corpus.clone(), sampler_settings);
    let memory = MemoryPlan::new(&memory::Inputs {
        args,
        config: &config,
        frozen,
        trained: &trained,
        method: method.as_deref(),
        parts: &parts,
        sampler: &sampler,
        valid: valid.as_ref(),
        held,
        has_logits_bias: bias.is_some(),
        sums_ranks: num_ranks > 1 && launch.is_none(),
    })?;
    if let Some(warning) = available_bytes().and_then(|n| memory.warning(n)) {
        context.report.warning(&warning);
    }
    let identity = Identity {
        settings: &settings,
        data_sha256: &data_sha256,
        valid_sha256: valid_sha256.as_deref(),
        base_sha256: &base_sha256,
        config_sha256: &config_sha256,
        masks_sha256: masks.as_ref().map(|m| m.sha256.as_str()),
        method_sha256: about.as_ref().map(|a| &*a.sha256),
        num_examples: corpus.num_examples(),
    };
    if context.dry_run {
        let resumed = check_run(args, &identity)?;
        let plan = Plan {
            resumed: resumed.as_ref(),
            corpora: [("train", Some(&*corpus)), ("valid", valid.as_ref())],
            masks: masks.as_ref(),
            method: about.as_ref(),
            memory: &memory,
        };
        return dry_run(args, context, &base, &plan, &trained);
    }
    context.report.note(memory.lines().swap_remove(0));
    processes::check_equal(&mut *ranks, &identity)?;
    let (run, resumed) = processes::open_run(&mut *ranks, args, context, &identity)?;
    let latest = latest_checkpoint(&args.output)?;
    let from = match (&latest, &weights) {
        (Some(dir), _) if trains_base => Checkpoint::open(dir)?,
        (_, Some(_)) => Checkpoint::open(args.init_from.as_deref().unwrap_or(base.dir()))?,
        (_, None) => Checkpoint::open(base.dir())?,
    };
    let mut set = ParameterSet::read(&config, &from, trained, frozen)?;
    drop(from);
    let (parents, method_sha256) = match about {
        None => (Vec::new(), None),
        Some(about) => {
            context.report.status(about.description);
            (about.parents, Some(about.sha256))
        }
    };
    let slots = trained_parameters(&set, method.as_deref(), None).count();
    let head = (head.as_ref(), !learns_rows);
    let mut tasks = args.tasks.tasks(&corpus, (&tokenizer, &base), context, head, slots)?;
    if let Some(dir) = &latest {
        if let Some(method) = &mut method {
            method.restore(dir)?;
        }
        if let Some(head) = &mut tasks.tag_head {
            head.restore(dir)?;
        }
    }
    let device = context.device();
    if !device.is_cpu() {
        set.move_to(device, frozen == FrozenType::Bf16)?;
        let of_method = method.iter_mut().flat_map(|m| m.parameters_mut());
        let of_head = tasks.tag_head.iter_mut().flat_map(TagHead::parameters_mut);
        of_method.chain(of_head).try_for_each(|p| p.move_to(device))?;
    }
    let head = tasks.tag_head.as_ref();
    let adam = AdamSettings {
        beta1: args.beta1,
        beta2: args.beta2,
        eps: args.eps,
        weight_decay: args.weight_decay,
        decoupled: args.optimizer == OptimizerKind::Adamw,
    };
    let optimizer = match &latest {
        Some(dir) => read_moments(dir, adam, trained_parameters(&set, method.as_deref(), head))?,
        None => Adam::new(adam, trained_parameters(&set, method.as_deref(), head))?,
    };
    if let Some(state) = &resumed {
        sampler.restore(&state.sampler)?;
    }
    let model = M2m100::new(&config, &set, bias.clone())?;
    context.report.status(format!(
        "{} parameters trained{}, {} pairs in {} directions{}",
        trained_parameters(&set, method.as_deref(), head)
            .map(|p| p.tensor.elem_count())
            .sum::<usize>(),
        match set.num_values() - set.trainable().map(|p| p.tensor.elem_count()).sum::<usize>() {
            frozen if method.is_some() => format!(" beside {frozen} frozen ones"),
            _ => format!(" of {}", set.num_values()),
        },
        corpus.num_examples(),
        corpus.directions.len(),
        resumed.as_ref().map_or(String::new(), |s| format!(", from step {}", s.step)),
    ));
    if let Some(launch) = launch {
        context.report.status(format!("{} processes train together", launch.size));
    }
    let mut trainer = Trainer::new(
        model,
        set,
        optimizer,
        sampler,
        TrainerOptions {
            schedule: LrSchedule {
                kind: args.lr_schedule,
                lr: args.lr,
                min_lr: args.min_lr,
                warmup_steps: args.warmup_steps,
                max_steps: args.max_steps.unwrap_or(0),
            },
            label_smoothing: args.label_smoothing,
            clip_norm: (args.clip_norm > 0.0).then_some(args.clip_norm),
            grad_accum: args.grad_accum,
            ranks: num_ranks,
            gradient_checkpointing: args.gradient_checkpointing,
            in_bf16: frozen == FrozenType::Bf16,
            seed: context.seed,
        },
        Extras { parts, method, tasks, ranks },
    )?;
    trainer.check_equal()?;
    catch_signals()?;
    let Some(run) = run else {
        follow(trainer)?;
        return Ok(Outcome::Ok);
    };
    let mut observer = TrainObserver::new(args, context, trainer.step())?;
    let scorer = match &valid {
        Some(corpus) if !metrics.is_empty() => Some(metrics.scorer(
            args,
            context.threads,
            &config,
            bias.as_deref(),
            corpus,
            &tokenizer,
        )),
        _ => None,
    };
    let session = Session {
        trainer,
        run,
        valid: valid.as_ref(),
        scorer,
        options: SessionOptions {
            max_steps: args.max_steps,
            max_epochs: args.max_epochs,
            max_minutes: args.max_minutes,
            log_every: args.log_every,
            log_pairs: args.log_pairs,
            valid_every: args.valid_every,
            save_every: args.save_every,
            keep_last: args.keep_last,
            keep_best: args.keep_best,
            patience: args.patience,
            average: args.average,
            best_metric: args.best_metric.clone(),
            valid_tokens: args.valid_tokens(),
        },
        source: ModelSource {
            dir: base.dir(),
            config: &config,
            final_logits_bias: bias.as_deref(),
            carried: masks.as_ref().map(|m| (&*m.file, CARRIED)),
            convention,
        },
        provenance: Provenance {
            command: "train".into(),
            args: settings
                .iter()
                .filter(|(k, _)| !crate::training::HARMLESS.contains(&k.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            seed: context.seed,
            parents: parents
                .into_iter()
                .map(Some)
                .chain([
                    Some(Parent {
                        role: "base_model".into(),
                        name: display_name(&args.model),
                        sha256: base_sha256.clone(),
                    }),
                    masks.as_ref().map(|m| Parent {
                        role: "neuron_masks".into(),
                        name: display_name(&m.path),
                        sha256: m.sha256.clone(),
                    }),
                    Some(Parent {
                        role: "train_tokens".into(),
                        name: args
                            .train
                            .iter()
                            .chain(args.tasks.train_texts())
                            .map(|t| display_name(Path::new(t)))
                            .collect::<Vec<_>>()
                            .join(","),
                        sha256: data_sha256.clone(),
                    }),
                ])
                .flatten()
                .collect(),
            signature: None,
        },
        settings,
        data_sha256,
        valid_sha256,
        base_sha256,
        config_sha256,
        masks_sha256: masks.as_ref().map(|m| m.sha256.clone()),
        method_sha256,
    };
    let best = session.run(resumed, &mut observer);
    let closed = observer.close();
    observer.say_best(best?.as_ref());
    closed?;
    Ok(Outcome::Ok)
}

fn read_corpus(
    args: &Args,
    context: &Context,
    paths: &[String],
    tokenizer: &TextTokenizer,
    base: &Checkpoint,
    what: &str,
) -> Result<Corpus> {
    if paths.is_empty() {
        return Ok(Corpus::empty());
    }
    let inputs: Vec<Input> = paths.iter().map(|p| Input::parse(p)).collect();
    let keep_text = what == "valid" && !args.valid_metric.is_empty();
    let options = args.pairs.corpus_options(&base.config, keep_text)?;
    let mut progress = context.report.progress(&format!("reading {what}"), "records", None);
    let corpus = Corpus::read(&inputs, tokenizer, &options, |n| progress.add(n))?;
    progress.finish();
    warn_about(what, &corpus.summary, &options, context);
    Ok(corpus)
}

/// What each direction of the text does differently. Every direction must have a mask, or a rule
/// that says what it does without.
fn direction_parts(
    masks: Option<&LoadedMasks>,
    base: &Checkpoint,
    corpora: &[Option<&Corpus>],
) -> Result<BTreeMap<Direction, DirectionParts>> {
    let mut parts = BTreeMap::new();
    for direction in corpora.iter().flatten().flat_map(|c| &c.directions).map(|d| &d.direction) {
        let own = match masks {
            None => DirectionParts::none(&base.config),
            Some(m) => {
                let used = m.provider.choose(&direction.src_lang, &direction.tgt_lang)?;
                m.provider.parts(&used)?
            }
        };
        parts.insert(direction.clone(), own);
    }
    Ok(parts)
}

/// SIGINT and SIGTERM end the run after the current update; a second one at once.
fn catch_signals() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        // SAFETY: the handler touches an atomic and may call `_exit`, both allowed in a
        // signal handler.
        unsafe {
            signal_hook::low_level::register(signal, move || {
                if STOP_SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                    signal_hook::low_level::exit(128 + signal);
                }
            })
        }
        .map_err(|e| Error::environment("cannot catch signals").cause(e.to_string()))?;
    }
    Ok(())
}

/// Says how much of `--init-from` was of use.
fn say_taken(taken: usize, all: usize, dir: &Path, context: &Context) -> Result<()> {
    if taken == 0 {
        return Err(Error::artifact("nothing of it fits what is to be trained")
            .at(dir)
            .flag("--init-from")
            .hint("languages, sizes and places must be the same"));
    }
    if taken < all {
        context.report.warning(
            &Error::artifact("not all that is trained is there to begin from")
                .at(dir)
                .flag("--init-from")
                .found(format!("{taken} of {all} tensors taken over"))
                .hint("the others begin anew"),
        );
    }
    Ok(())
}
