//! `isogloss init`: a new model directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::values::{Count, LangList};
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::formats::hf;
use crate::formats::provenance::{Parent, Provenance, display_name, file_sha256};
use crate::formats::safetensors::{self, Data, Entry};
use crate::io::{AtomicDir, Input, Output, refuse_existing, write_bytes};
use crate::model::ModelConfig;
use crate::model::checkpoint::parameter_shapes;
use crate::model::initialise::initial_parameters;
use crate::records::{InputFormat, ParallelReader, ReadOptions};
use crate::text::{
    CorpusSample, Languages, TextTokenizer, TokenizerKind, TokenizerOptions, check_language_code,
    language_of_mark, tokenizer_config, train_tokenizer,
};

/// New model directory: tokenizer trained on the text, random weights
///
/// Reads parallel text (JSON Lines with `src_lang`, `tgt_lang`, `src`, `tgt`; TSV; or plain
/// lines), trains a tokenizer with a mark for each language, and writes a model with random
/// weights in the layout of M2M-100, which transformers and CTranslate2 load too.
///
/// With `--from` it copies a model whose tokenizer then knows more languages: each new mark
/// begins with the embedding of another one, and everything old translates as before.
///
/// Example: isogloss init -o model --preset tiny --vocab-size 2000 train.jsonl
///
/// Example: isogloss init -o wider --from model --new-language nl=de --new-language bg=ru
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Parallel text to train the tokenizer on; `-` or nothing reads standard input
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// Model directory to write
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// Format of the inputs; by default from the file name, else from the first line
    #[arg(long, value_enum, help_heading = "Input")]
    pub input_format: Option<InputFormat>,
    /// Language of the source side where records do not say
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub src_lang: Option<String>,
    /// Language of the target side where records do not say
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub tgt_lang: Option<String>,
    /// Source side of a line-aligned pair of files; needs `--tgt` and both languages
    #[arg(long, value_name = "FILE", requires_all = ["tgt", "src_lang", "tgt_lang"],
          help_heading = "Input")]
    pub src: Option<PathBuf>,
    /// Target side of a line-aligned pair of files
    #[arg(long, value_name = "FILE", requires = "src", help_heading = "Input")]
    pub tgt: Option<PathBuf>,
    /// Further languages to give a mark to, beside those of the text
    #[arg(long, value_name = "LANG,...", help_heading = "Input")]
    pub languages: Option<LangList>,

    /// Vocabulary entries, special tokens and language marks included [default: 8000]
    #[arg(long, value_name = "N", help_heading = "Tokenizer")]
    pub vocab_size: Option<Count>,
    /// How pieces are learnt
    #[arg(long, value_enum, default_value = "bpe", help_heading = "Tokenizer")]
    pub tokenizer_model: TokenizerKind,
    /// Share of the text's characters that get a piece of their own; the others become `<unk>`
    #[arg(long, value_name = "FRAC", default_value_t = 0.9995, help_heading = "Tokenizer")]
    pub character_coverage: f64,
    /// Spell characters without a piece in bytes (256 entries) instead of `<unk>`
    #[arg(long, help_heading = "Tokenizer")]
    pub byte_fallback: bool,
    /// Languages are weighted by (sentences)^(1/T): 1 keeps their shares, more evens them out
    #[arg(long, value_name = "T", default_value_t = 5.0, help_heading = "Tokenizer")]
    pub tokenizer_temperature: f64,
    /// Sentences of each language to learn from; more are sampled down to this
    #[arg(long, value_name = "N", default_value_t = 1_000_000, help_heading = "Tokenizer")]
    pub tokenizer_sentences: usize,
    /// Use this tokenizer.json (or the one in this directory) instead of training one
    #[arg(long, value_name = "PATH", help_heading = "Tokenizer")]
    pub tokenizer: Option<PathBuf>,

    #[command(flatten)]
    pub shape: shape::ShapeArgs,
    #[command(flatten)]
    pub extend: extend::ExtendArgs,
}

pub mod extend;
pub mod shape;

impl Args {
    fn extra_languages(&self) -> &[String] {
        self.languages.as_ref().map_or(&[], |l| &l.0)
    }
    fn vocab_size(&self) -> Option<usize> {
        self.vocab_size.map(|c| usize::try_from(c.0).unwrap_or(usize::MAX))
    }
}

/// The tokenizer of the new model, trained or taken over.
struct NewTokenizer {
    /// Bytes of tokenizer.json; none in a dry run that would train.
    json: Option<Vec<u8>>,
    vocab_size: usize,
    languages: Vec<String>,
    /// pad, bos, eos.
    special_ids: [u32; 3],
    description: String,
}

/// `--force` replaces a model, not whatever else stands under that name.
fn refuse_foreign(path: &Path) -> Result<()> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let empty = || std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_none());
    if meta.is_dir() && (path.join(hf::CONFIG).is_file() || empty()) {
        return Ok(());
    }
    Err(Error::environment("output exists and is not a model directory")
        .at(path)
        .hint("choose another `--output`; `--force` replaces models only"))
}

/// Refuses a model that memory cannot hold, before anything is made.
fn refuse_too_large(num_parameters: u64) -> Result<()> {
    let bytes = num_parameters.saturating_mul(4);
    let fits = usize::try_from(bytes).is_ok_and(|n| Vec::<u8>::new().try_reserve_exact(n).is_ok());
    if fits {
        return Ok(());
    }
    Err(Error::environment("not enough memory for the weights")
        .found(format!("{num_parameters} parameters, {} GiB", bytes >> 30))
        .hint("choose a smaller shape; see the presets with `isogloss init --help`"))
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if args.output.as_os_str() == "-" {
        return Err(Error::usage("a model is a directory and cannot go to standard output")
            .flag("--output")
            .hint("write `./-` for a directory named `-`"));
    }
    args.extend.check()?;
    refuse_existing(&args.output, context.force)?;
    refuse_foreign(&args.output)?;
    if let Some(from) = &args.extend.from {
        return extend::run(from, args, context);
    }
    check_flags(args)?;
    let mut config = args.shape.config(args.vocab_size().unwrap_or(8000))?;
    let tokenizer = match &args.tokenizer {
        Some(path) => take_tokenizer(args, path)?,
        None => new_tokenizer(args, context, &config)?,
    };
    config.vocab_size = tokenizer.vocab_size;
    [config.pad_token_id, config.bos_token_id, config.eos_token_id] = tokenizer.special_ids;
    config.decoder_start_token_id = config.eos_token_id;
    args.shape.check(&config)?;

    let num_parameters: u64 =
        parameter_shapes(&config).values().map(|s| s.iter().product::<usize>() as u64).sum();
    refuse_too_large(num_parameters)?;
    let mut record = json!({
        "type": "model",
        "path": args.output.display().to_string(),
        "num_parameters": num_parameters,
        "size_bytes": num_parameters * 4,
        "vocab_size": config.vocab_size,
        "languages": tokenizer.languages,
        "d_model": config.d_model,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_ffn_dim": config.encoder_ffn_dim,
        "decoder_ffn_dim": config.decoder_ffn_dim,
        "num_heads": config.encoder_attention_heads,
        "tokenizer": tokenizer.description,
    });
    if context.dry_run {
        record["dry_run"] = true.into();
    }
    if let (Some(json), false) = (&tokenizer.json, context.dry_run) {
        let sha256 = write_model(args, context, &config, &tokenizer.languages, json)?;
        record["sha256"] = sha256.into();
    }
    if context.json {
        let mut out = Output::stdout(false);
        out.record(&record)?;
        out.flush()?;
    }
    let text = summary(&args.output, &config, num_parameters, &tokenizer);
    if context.dry_run && !context.json {
        let mut out = Output::stdout(false);
        out.line(&format!("would write {text}"))?;
        for name in FILES {
            out.line(&format!("  {}", args.output.join(name).display()))?;
        }
        out.flush()?;
    } else if !context.dry_run {
        context.report.status(format!("wrote {text}"));
    }
    Ok(Outcome::Ok)
}

const FILES: [&str; 5] =
    [hf::CONFIG, hf::GENERATION_CONFIG, hf::WEIGHTS, hf::TOKENIZER, hf::TOKENIZER_CONFIG];

fn summary(path: &Path, c: &ModelConfig, num_parameters: u64, t: &NewTokenizer) -> String {
    format!(
        "{}: {:.1} M parameters (d_model {}, {}+{} layers, {} heads, ffn {}), vocabulary {} ({}), \
         {} languages: {}",
        path.display(),
        num_parameters as f64 / 1e6,
        c.d_model,
        c.encoder_layers,
        c.decoder_layers,
        c.encoder_attention_heads,
        c.encoder_ffn_dim,
        c.vocab_size,
        t.description,
        t.languages.len(),
        t.languages.join(" "),
    )
}

fn check_flags(args: &Args) -> Result<()> {
    let wrong = |flag: &str, found: String, expected: &str| {
        Err(Error::usage(format!("`{flag}` is out of range"))
            .flag(flag)
            .found(found)
            .expected(expected))
    };
    if !(args.character_coverage > 0.0 && args.character_coverage <= 1.0) {
        return wrong(
            "--character-coverage",
            args.character_coverage.to_string(),
            "above 0, at most 1",
        );
    }
    if !(args.tokenizer_temperature >= 1.0 && args.tokenizer_temperature.is_finite()) {
        return wrong(
            "--tokenizer-temperature",
            args.tokenizer_temperature.to_string(),
            "at least 1",
        );
    }
    if args.tokenizer_sentences == 0 {
        return wrong("--tokenizer-sentences", "0".into(), "at least 1");
    }
    if let Some(v) = args.vocab_size()
        && !(8..=1 << 24).contains(&v)
    {
        return wrong("--vocab-size", v.to_string(), "8 to 16777216");
    }
    for language in args.extra_languages() {
        check_language_code(language, ErrorKind::Usage).map_err(|e| e.flag("--languages"))?;
    }
    let stdin = args.inputs.iter().filter(|i| *i == "-").count();
    if stdin > 1 {
        return Err(Error::usage("standard input can be read only once").flag("INPUT"));
    }
    Ok(())
}

/// Inputs in order: files, the aligned pair, else standard input.
fn read_sample(args: &Args, context: &Context) -> Result<CorpusSample> {
    let mut sample = CorpusSample::new(context.seed, args.tokenizer_sentences);
    let mut progress = context.report.progress("reading text", "records", None);
    let mut num_records = 0u64;
    let mut inputs: Vec<Input> = args.inputs.iter().map(|s| Input::parse(s)).collect();
    if inputs.is_empty() && args.src.is_none() {
        inputs.push(Input::Stdin);
    }
    let options = ReadOptions {
        format: args.input_format,
        src_lang: args.src_lang.clone(),
        tgt_lang: args.tgt_lang.clone(),
    };
    for input in &inputs {
        if input.is_terminal() {
            return Err(Error::usage("no text to train the tokenizer on")
                .hint("name a file: `isogloss init -o MODEL train.jsonl`")
                .hint("or reuse a tokenizer: `--tokenizer PATH`"));
        }
        let mut reader = ParallelReader::open(input, options.clone())?;
        while let Some(record) = reader.next_record()? {
            let place = |e: Error| e.at(reader.path()).line(record.line);
            let sides = [
                ("src_lang", "--src-lang", &record.src_lang, record.src.as_deref()),
                ("tgt_lang", "--tgt-lang", &record.tgt_lang, record.refs.first().map(|r| &**r)),
            ];
            for (field, flag, lang, text) in sides {
                let Some(text) = text else { continue };
                let Some(lang) = lang else {
                    return Err(place(
                        Error::data("record does not name its language")
                            .field(field)
                            .hint(format!("give the language of all records with `{flag} LANG`")),
                    ));
                };
                check_language_code(lang, ErrorKind::Data).map_err(|e| place(e.field(field)))?;
                sample.add(lang, text);
            }
            num_records += 1;
            progress.set(num_records);
        }
    }
    if let (Some(src), Some(tgt), Some(src_lang), Some(tgt_lang)) =
        (&args.src, &args.tgt, &args.src_lang, &args.tgt_lang)
    {
        for (lang, flag) in [(src_lang, "--src-lang"), (tgt_lang, "--tgt-lang")] {
            check_language_code(lang, ErrorKind::Usage).map_err(|e| e.flag(flag))?;
        }
        let mut left = Input::Path(src.clone()).open()?;
        let mut right = Input::Path(tgt.clone()).open()?;
        let mut count = [0u64; 2];
        loop {
            let pair = (left.next_line()?, right.next_line()?);
            count[0] += u64::from(pair.0.is_some());
            count[1] += u64::from(pair.1.is_some());
            match pair {
                (Some(s), Some(t)) => {
                    sample.add(src_lang, &s.text);
                    sample.add(tgt_lang, &t.text);
                }
                (None, None) => break,
                _ => {
                    for (side, n) in [&mut left, &mut right].into_iter().zip(&mut count) {
                        while side.next_line()?.is_some() {
                            *n += 1;
                        }
                    }
                    return Err(Error::data("line-aligned files have different lengths")
                        .at(tgt)
                        .found(format!("{} lines", count[1]))
                        .expected(format!("{} lines, as in `{}`", count[0], src.display())));
                }
            }
            num_records += 1;
            progress.set(num_records);
        }
    }
    progress.finish();
    if num_records == 0 {
        return Err(Error::data("the input holds no records"));
    }
    Ok(sample)
}

fn new_tokenizer(args: &Args, context: &Context, config: &ModelConfig) -> Result<NewTokenizer> {
    let sample = read_sample(args, context)?;
    let languages: BTreeSet<String> = sample
        .languages()
        .map(|(l, _)| l.to_string())
        .chain(args.extra_languages().iter().cloned())
        .collect();
    let languages: Vec<String> = languages.into_iter().collect();
    for (lang, n) in sample.languages() {
        context.report.note(format!("{lang}: {n} sentences"));
    }
    let options = TokenizerOptions {
        kind: args.tokenizer_model,
        vocab_size: config.vocab_size,
        character_coverage: args.character_coverage,
        byte_fallback: args.byte_fallback,
        temperature: args.tokenizer_temperature,
    };
    let kind = options.kind.name();
    if context.dry_run {
        return Ok(NewTokenizer {
            json: None,
            vocab_size: options.vocab_size,
            languages,
            special_ids: [1, 0, 2],
            description: format!("{kind}, not trained yet"),
        });
    }
    let total = (options.kind == TokenizerKind::Bpe).then_some(options.vocab_size as u64);
    let mut progress = context.report.progress("training tokenizer", "pieces", total);
    let trained =
        train_tokenizer(&sample, &languages, &options, |pieces| progress.set(pieces as u64))?;
    progress.finish();
    if trained.vocab_size < options.vocab_size {
        context.report.warning(
            &Error::data("the text gives fewer pieces than asked for; the vocabulary is smaller")
                .found(trained.vocab_size.to_string())
                .expected(format!("{} (`--vocab-size`)", options.vocab_size)),
        );
    }
    Ok(NewTokenizer {
        vocab_size: trained.vocab_size,
        languages,
        special_ids: [1, 0, 2],
        description: format!(
            "{kind}, {} characters covering {:.2} % of the text",
            trained.num_chars,
            100.0 * trained.covered_frac
        ),
        json: Some(trained.json.into_bytes()),
    })
}

/// An existing tokenizer.json, unchanged. Its marks are the languages.
fn take_tokenizer(args: &Args, path: &Path) -> Result<NewTokenizer> {
    if !args.inputs.is_empty() || args.src.is_some() {
        return Err(Error::usage("`--tokenizer` trains nothing, so it takes no text")
            .flag("--tokenizer")
            .hint("leave the inputs out, or leave `--tokenizer` out"));
    }
    let file = if path.is_dir() { path.join(hf::TOKENIZER) } else { path.to_path_buf() };
    let value: Value = hf::read_json(&file)?;
    let mut largest = 0;
    let mut ids: BTreeMap<&str, u64> = BTreeMap::new();
    let mut marks = Vec::new();
    for token in value["added_tokens"].as_array().into_iter().flatten() {
        if let (Some(content), Some(id)) = (token["content"].as_str(), token["id"].as_u64()) {
            ids.insert(content, id);
            largest = largest.max(id);
            marks.extend(language_of_mark(content).map(|c| (c.to_string(), id as u32)));
        }
    }
    match &value["model"]["vocab"] {
        Value::Object(vocab) => {
            for (token, id) in vocab {
                if let Some(id) = id.as_u64() {
                    ids.entry(token).or_insert(id);
                    largest = largest.max(id);
                }
            }
        }
        Value::Array(pieces) => {
            for (id, piece) in pieces.iter().enumerate() {
                if let Some(token) = piece[0].as_str() {
                    ids.entry(token).or_insert(id as u64);
                }
            }
            largest = largest.max(pieces.len().saturating_sub(1) as u64);
        }
        _ => {}
    }
    if largest >= 1 << 24 {
        return Err(Error::artifact("tokenizer has an impossible id")
            .at(&file)
            .found(largest.to_string())
            .expected("below 16777216"));
    }
    let entries = largest as usize + 1;
    let vocab_size = args.vocab_size().unwrap_or(entries);
    if vocab_size < entries {
        return Err(Error::usage("vocabulary is smaller than the tokenizer")
            .flag("--vocab-size")
            .found(vocab_size.to_string())
            .expected(format!("at least {entries}")));
    }
    let mut special_ids = [0; 3];
    for (slot, token) in special_ids.iter_mut().zip(["<pad>", "<s>", "</s>"]) {
        let Some(id) = ids.get(token) else {
            return Err(Error::artifact("tokenizer lacks a token the model needs")
                .at(&file)
                .expected(format!("`{token}`")));
        };
        *slot = *id as u32;
    }
    let languages = Languages::new(marks);
    for language in args.extra_languages() {
        languages.find(language, ErrorKind::Usage).map_err(|e| {
            e.flag("--languages").hint("an existing tokenizer keeps its own languages")
        })?;
    }
    let json = std::fs::read(&file).map_err(|e| Error::io("read", &file, e))?;
    Ok(NewTokenizer {
        json: Some(json),
        vocab_size,
        languages: languages.codes().to_vec(),
        special_ids,
        description: format!("taken from {}", display_name(&file)),
    })
}

/// Writes the directory; returns the model's checksum.
fn write_model(
    args: &Args,
    context: &Context,
    config: &ModelConfig,
    languages: &[String],
    tokenizer: &[u8],
) -> Result<String> {
    // The tokenizer must load as every other command will load it.
    let loaded =
        TextTokenizer::from_bytes(tokenizer, Path::new(hf::TOKENIZER), config).map_err(|e| {
            match &args.tokenizer {
                Some(path) => e.at(path),
                None => e,
            }
        })?;
    debug_assert_eq!(loaded.languages().codes(), languages);

    let dir = AtomicDir::create(&args.output)?;
    let write = |name: &str, value: &Value| -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|e| Error::bug("cannot encode a configuration").cause(e.to_string()))?;
        text.push('\n');
        write_bytes(&dir.path().join(name), text.as_bytes())
    };
    let value = serde_json::to_value(config)
        .map_err(|e| Error::bug("cannot encode the configuration").cause(e.to_string()))?;
    write(hf::CONFIG, &shape::sorted(value))?;
    write(
        hf::GENERATION_CONFIG,
        &json!({
            "_from_model_config": true,
            "bos_token_id": config.bos_token_id,
            "decoder_start_token_id": config.decoder_start_token_id,
            "eos_token_id": config.eos_token_id,
            "pad_token_id": config.pad_token_id,
            "use_cache": true,
        }),
    )?;
    write(hf::TOKENIZER_CONFIG, &tokenizer_config(languages, config.max_position_embeddings))?;
    write_bytes(&dir.path().join(hf::TOKENIZER), tokenizer)?;

    let parameters = initial_parameters(config, args.shape.init_method(), context.seed);
    let tensors = parameters
        .iter()
        .map(|(name, p)| {
            (name.clone(), Entry { shape: p.shape.clone(), data: Data::F32(&p.values) })
        })
        .collect();
    let metadata = provenance(args, context, config)?.metadata("model");
    safetensors::write(&dir.path().join(hf::WEIGHTS), &tensors, &metadata, true)?;
    let sha256 = crate::model::Checkpoint::open(dir.path())?.sha256()?;
    dir.commit(context.force)?;
    Ok(sha256)
}

fn provenance(args: &Args, context: &Context, config: &ModelConfig) -> Result<Provenance> {
    let mut effective: BTreeMap<String, Value> = BTreeMap::new();
    let mut set = |name: &str, value: Value| effective.insert(name.to_string(), value);
    set("preset", args.shape.name().into());
    set("init_method", json!(args.shape.init_method()));
    set("vocab_size", config.vocab_size.into());
    if args.tokenizer.is_none() {
        set("tokenizer_model", args.tokenizer_model.name().into());
        set("character_coverage", args.character_coverage.into());
        set("byte_fallback", args.byte_fallback.into());
        set("tokenizer_temperature", args.tokenizer_temperature.into());
        set("tokenizer_sentences", args.tokenizer_sentences.into());
    }
    let mut files: Vec<(&str, PathBuf)> = args
        .inputs
        .iter()
        .filter_map(|i| Input::parse(i).path().map(|p| ("data", p.to_path_buf())))
        .collect();
    files.extend(args.src.iter().chain(&args.tgt).map(|p| ("data", p.clone())));
    files.extend(
        args.tokenizer
            .iter()
            .map(|p| ("tokenizer", if p.is_dir() { p.join(hf::TOKENIZER) } else { p.clone() })),
    );
    let mut parents = Vec::new();
    for (role, path) in files {
        parents.push(Parent {
            role: role.into(),
            name: display_name(&path),
            sha256: file_sha256(&path)?,
        });
    }
    Ok(Provenance {
        command: "init".into(),
        args: effective,
        seed: context.seed,
        parents,
        signature: None,
    })
}
