//! `isogloss init --from`: a copy of a model that knows more languages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use super::Args;
use crate::cli::Context;
use crate::commands::masks::CARRIED;
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::formats::provenance::{Parent, Provenance, display_name};
use crate::formats::safetensors::{self, Data, Entry};
use crate::formats::{adapters, hf};
use crate::io::{AtomicDir, Output, write_bytes};
use crate::model::checkpoint::{FINAL_LOGITS_BIAS, SHARED_ALIASES, parameter_shapes};
use crate::model::grow::{NewRow, grow_rows};
use crate::model::{Checkpoint, ModelConfig};
use crate::text::{NewMark, TextTokenizer, add_languages};
use crate::training::copy_side_files;

#[derive(Clone, Debug, clap::Args)]
pub struct ExtendArgs {
    /// Copy this model, or the best checkpoint of this run, and add `--new-language` to it
    #[arg(long, value_name = "MODEL", requires = "new_language", conflicts_with_all = MAKES_A_MODEL,
          help_heading = "More languages")]
    pub from: Option<PathBuf>,
    /// A language to add, whose mark begins as a copy of that of OLD (`nl=de`), else as the mean
    /// of all; may be repeated
    #[arg(long, value_name = "NEW[=OLD]", help_heading = "More languages")]
    pub new_language: Vec<NewLanguage>,
}

impl ExtendArgs {
    /// The parser drops `requires` where another flag excludes what is required.
    pub fn check(&self) -> Result<()> {
        if self.from.is_some() || self.new_language.is_empty() {
            return Ok(());
        }
        Err(Error::usage("`--new-language` without a model to add it to")
            .flag("--new-language")
            .hint("name the model with `--from MODEL`")
            .hint("a new model has the languages of its text, and those of `--languages`"))
    }
}

/// What else decides about a new model: with a copy it has no meaning.
const MAKES_A_MODEL: [&str; 29] = [
    "inputs",
    "input_format",
    "src_lang",
    "tgt_lang",
    "src",
    "tgt",
    "languages",
    "vocab_size",
    "tokenizer_model",
    "character_coverage",
    "byte_fallback",
    "tokenizer_temperature",
    "tokenizer_sentences",
    "tokenizer",
    "preset",
    "model_config",
    "d_model",
    "encoder_layers",
    "decoder_layers",
    "heads",
    "ffn_dim",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "max_positions",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "init_method",
    "init_std",
];

/// `nl=de`: a new language and the one whose row it begins with; or `nl` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLanguage {
    pub code: String,
    pub like: Option<String>,
}

impl FromStr for NewLanguage {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let malformed = || Error::usage("not a language to add").expected("`NEW=OLD` or `NEW`");
        if s.contains([',', ';']) || s.contains(char::is_whitespace) {
            return Err(malformed().hint("repeat the flag for each language"));
        }
        let (code, like) = match s.split_once('=') {
            Some((code, like)) => (code, Some(like)),
            None => (s, None),
        };
        if code.is_empty() || like.is_some_and(|l| l.is_empty() || l.contains('=')) {
            return Err(malformed().hint("write `nl=de` for a new language like one of the model"));
        }
        Ok(Self { code: code.to_string(), like: like.map(str::to_string) })
    }
}

impl fmt::Display for NewLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        self.like.iter().try_for_each(|like| write!(f, "={like}"))
    }
}

/// Files beside tokenizer.json that may list the marks.
const LISTS: [&str; 4] =
    [hf::TOKENIZER_CONFIG, hf::GENERATION_CONFIG, "special_tokens_map.json", "added_tokens.json"];
/// The moments of a run's optimizer belong to the run.
const OPTIMIZER: &str = "optimizer.safetensors";

/// The new model, but for what is copied as it is.
struct Extended {
    marks: Vec<NewMark>,
    /// For each of `marks`, the codes whose rows it begins with.
    like: Vec<Vec<String>>,
    rows: Vec<NewRow>,
    config: ModelConfig,
    languages: Vec<String>,
    /// Files whose text changes, by name.
    texts: BTreeMap<String, Vec<u8>>,
}

pub fn run(from: &Path, args: &Args, context: &Context) -> Result<Outcome> {
    let base = Checkpoint::open(from)?;
    let new = Extended::plan(&base, &args.extend.new_language)?;
    let grown = new.grown_tensors(&base)?;
    let tensors = new.tensors(&base, &grown)?;
    let left = parts_left_behind(&base)?;
    warn_about(&left, &base, context);

    let shapes = parameter_shapes(&new.config);
    let num_parameters: u64 = shapes.values().map(|s| s.iter().product::<usize>() as u64).sum();
    let mut record = json!({
        "type": "model",
        "path": args.output.display().to_string(),
        "num_parameters": num_parameters,
        "size_bytes": tensors.values().map(|t| t.data.size_bytes() as u64).sum::<u64>(),
        "vocab_size": new.config.vocab_size,
        "languages": new.languages,
        "new_languages": new.records(),
    });
    if context.dry_run {
        record["dry_run"] = true.into();
    } else {
        let provenance = provenance(from, args, context, &base)?;
        let dir = AtomicDir::create(&args.output)?;
        copy_side_files(base.dir(), dir.path())?;
        for name in &left {
            // What described a part that is left behind would describe nothing.
            let description = dir.path().join(Path::new(name).with_extension("json"));
            if description.is_file() {
                std::fs::remove_file(&description)
                    .map_err(|e| Error::io("remove", &description, e))?;
            }
        }
        for (name, text) in &new.texts {
            write_bytes(&dir.path().join(name), text)?;
        }
        let weights = dir.path().join(hf::WEIGHTS);
        safetensors::write(&weights, &tensors, &provenance.metadata("model"), true)?;
        // The copy must open as every other command will open it.
        record["sha256"] = Checkpoint::open(dir.path())?.sha256()?.into();
        dir.commit(context.force)?;
    }
    let text = new.summary(args, &base.config, num_parameters);
    if !context.dry_run {
        context.report.status(format!("wrote {text}"));
    }
    if context.json || context.dry_run {
        let mut out = Output::stdout(false);
        if context.json {
            out.record(&record)?;
        } else {
            out.line(&format!("would write {text}"))?;
            for (mark, like) in new.marks.iter().zip(&new.like) {
                let NewMark { mark, .. } = mark;
                let like = like_text(like);
                out.line(&format!(
                    "  {}: mark `{}`, id {}, {like}",
                    mark.code, mark.token, mark.id
                ))?;
            }
            for name in new.texts.keys().map(String::as_str).chain([hf::WEIGHTS]) {
                out.line(&format!("  {}", args.output.join(name).display()))?;
            }
            out.line(&format!("  and the other files of {} as they are", base.dir().display()))?;
        }
        out.flush()?;
    }
    Ok(Outcome::Ok)
}

impl Extended {
    fn plan(base: &Checkpoint, asked: &[NewLanguage]) -> Result<Self> {
        let before = TextTokenizer::load(base.dir(), &base.config)?;
        let codes = before.languages().codes().to_vec();
        let mut tokenizer: Value = hf::read_json(before.path())?;
        let pairs: Vec<(&str, Option<&str>)> =
            asked.iter().map(|n| (&*n.code, n.like.as_deref())).collect();
        let marks = add_languages(&mut tokenizer, &pairs).map_err(|e| match e.kind() {
            ErrorKind::Usage => e.flag("--new-language"),
            _ => e.at(before.path()),
        })?;

        let mut config = base.config.clone();
        let num_ids = marks.iter().map(|m| m.mark.id as usize + 1).max().unwrap_or_default();
        config.vocab_size = config.vocab_size.max(num_ids);
        if let Some((field, complaint)) = config.fault() {
            return Err(Error::artifact("the model cannot grow")
                .at(base.dir().join(hf::CONFIG))
                .key(field)
                .found(complaint));
        }
        let special = [
            config.pad_token_id,
            config.bos_token_id,
            config.eos_token_id,
            config.decoder_start_token_id,
        ];
        if let Some(m) = marks.iter().find(|m| special.contains(&m.mark.id)) {
            return Err(Error::artifact("the id after the tokenizer's last is taken")
                .at(base.dir().join(hf::CONFIG))
                .found(format!("{} as the id of a special token", m.mark.id))
                .expected(format!("room for `{}`", m.mark.token)));
        }

        let mut texts = BTreeMap::new();
        let mut set = |name: &str, value: &Value| -> Result<()> {
            let mut text = serde_json::to_vec_pretty(value)
                .map_err(|e| Error::bug("cannot encode a configuration").cause(e.to_string()))?;
            text.push(b'\n');
            texts.insert(name.to_string(), text);
            Ok(())
        };
        set(hf::TOKENIZER, &tokenizer)?;
        if config.vocab_size != base.config.vocab_size {
            // As it is stored: this version may not know all that it says.
            let mut value: Value = hf::read_json(&base.dir().join(hf::CONFIG))?;
            value["vocab_size"] = config.vocab_size.into();
            set(hf::CONFIG, &value)?;
        }
        for name in LISTS {
            let path = base.dir().join(name);
            if !path.is_file() {
                continue;
            }
            let mut value: Value = hf::read_json(&path)?;
            let listed = marks.iter().filter(|m| m.list_in(&mut value, &codes)).count();
            if listed > 0 {
                set(name, &value)?;
            }
        }

        let text = texts.get(hf::TOKENIZER).map(Vec::as_slice).unwrap_or_default();
        let after = TextTokenizer::from_bytes(text, before.path(), &config)?;
        for NewMark { mark, .. } in &marks {
            // The library counts added tokens itself; a file with gaps has other ids than it says.
            if after.piece(mark.id).as_deref() != Some(&*mark.token) {
                return Err(Error::artifact(
                    "tokenizer does not number its tokens as its file does",
                )
                .at(before.path())
                .found(format!("`{}` for id {}", after.piece(mark.id).unwrap_or_default(), mark.id))
                .expected(format!("`{}`", mark.token))
                .hint("load and save it with the tokenizers library, which fills the gaps"));
            }
        }

        let mut like = Vec::new();
        let mut rows = Vec::new();
        for (m, asked) in marks.iter().zip(asked) {
            let of = match &asked.like {
                Some(code) => vec![code.clone()],
                None => codes.clone(),
            };
            let ids = of.iter().map(|c| Ok(before.languages().id_of(c)? as usize));
            rows.push(NewRow { row: m.mark.id as usize, like: ids.collect::<Result<_>>()? });
            like.push(of);
        }
        let languages = after.languages().codes().to_vec();
        Ok(Self { marks, like, rows, config, languages, texts })
    }

    /// The tensors that are not copied as they are, by name: shape and bytes.
    fn grown_tensors(&self, base: &Checkpoint) -> Result<BTreeMap<String, (Vec<usize>, Vec<u8>)>> {
        let c = &self.config;
        let mut out = BTreeMap::new();
        let tables = SHARED_ALIASES
            .map(|name| (name, vec![c.vocab_size, c.d_model], c.d_model))
            .into_iter()
            .chain([(FINAL_LOGITS_BIAS, vec![1, c.vocab_size], 1)]);
        for (name, shape, width) in tables {
            let Some(file) = base.files().file_of(name) else { continue };
            let view = file.view(name)?;
            if name == FINAL_LOGITS_BIAS {
                file.check_shape(name, view.shape(), &[1, base.config.vocab_size])?;
            }
            let bytes = grow_rows(view.dtype(), view.data(), width, c.vocab_size, &self.rows)
                .map_err(|e| e.at(file.path()).tensor(name))?;
            out.insert(name.to_string(), (shape, bytes));
        }
        Ok(out)
    }

    /// All tensors of the new model, in the types they have.
    fn tensors<'a>(
        &self,
        base: &'a Checkpoint,
        grown: &'a BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    ) -> Result<BTreeMap<String, Entry<'a>>> {
        let mut out = BTreeMap::new();
        for name in base.files().names() {
            let Some(file) = base.files().file_of(name) else { continue };
            let view = file.view(name)?;
            let (shape, data) = match grown.get(name) {
                Some((shape, bytes)) => (shape.clone(), bytes.as_slice()),
                None => (view.shape().to_vec(), view.data()),
            };
            out.insert(name.to_string(), Entry { shape, data: Data::Raw(view.dtype(), data) });
        }
        Ok(out)
    }

    fn records(&self) -> Vec<Value> {
        let record = |(m, like): (&NewMark, &Vec<String>)| json!({"lang": m.mark.code, "mark": m.mark.token, "id": m.mark.id, "like": like});
        self.marks.iter().zip(&self.like).map(record).collect()
    }

    fn summary(&self, args: &Args, before: &ModelConfig, num_parameters: u64) -> String {
        let new: Vec<String> = args.extend.new_language.iter().map(ToString::to_string).collect();
        let vocabulary = match (before.vocab_size, self.config.vocab_size) {
            (before, after) if before == after => format!("{after} as before"),
            (before, after) => format!("{before} -> {after}"),
        };
        let plural = if new.len() == 1 { "" } else { "s" };
        format!(
            "{}: {} new language{plural} ({}), now {}: {}; vocabulary {vocabulary}, {:.1} M parameters",
            args.output.display(),
            new.len(),
            new.join(", "),
            self.languages.len(),
            self.languages.join(" "),
            num_parameters as f64 / 1e6,
        )
    }
}

fn like_text(codes: &[String]) -> String {
    match codes {
        [one] => format!("row of `{one}`"),
        several => format!("mean of {} rows", several.len()),
    }
}

/// Names of what belongs to the model the copy is of: masks and adapters, which are the files of
/// tensors that are neither the weights nor a run's state, and the adapters' description.
fn parts_left_behind(base: &Checkpoint) -> Result<Vec<String>> {
    let weights: BTreeSet<&Path> = base.files().files().iter().map(|f| f.path()).collect();
    let entries = std::fs::read_dir(base.dir()).map_err(|e| Error::io("read", base.dir(), e))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|e| !weights.contains(e.path().as_path()))
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n == adapters::FILE || n.ends_with(".safetensors"))
        .filter(|n| !n.starts_with('.') && n != OPTIMIZER)
        .collect();
    names.sort();
    Ok(names)
}

fn warn_about(left: &[String], base: &Checkpoint, context: &Context) {
    for name in left {
        let path = base.dir().join(name);
        let warning = if name == CARRIED {
            Error::artifact("the model's neuron masks are not copied")
                .hint(format!("`--masks {} --foreign-masks` uses them", path.display()))
                .hint("or count anew with the new languages: `isogloss profile-neurons`")
        } else {
            Error::artifact("a part of the model is not copied")
        };
        context.report.warning(&warning.at(&path));
    }
}

fn provenance(
    from: &Path,
    args: &Args,
    context: &Context,
    base: &Checkpoint,
) -> Result<Provenance> {
    let new: Vec<String> = args.extend.new_language.iter().map(ToString::to_string).collect();
    Ok(Provenance {
        command: "init".into(),
        args: BTreeMap::from([("new_language".to_string(), json!(new))]),
        seed: context.seed,
        parents: vec![Parent {
            role: "base_model".into(),
            name: display_name(from),
            sha256: base.sha256()?,
        }],
        signature: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_languages_are_read_and_shown() {
        for (text, code, like) in
            [("nl=de", "nl", Some("de")), ("nl", "nl", None), ("a_b=c_d", "a_b", Some("c_d"))]
        {
            let read: NewLanguage = text.parse().unwrap();
            assert_eq!((&*read.code, read.like.as_deref()), (code, like));
            assert_eq!(read.to_string(), text);
        }
        for bad in ["", "=", "nl=", "=de", "nl=de=ru", "nl=de,bg=ru", "nl de", "nl=de;bg"] {
            assert!(bad.parse::<NewLanguage>().is_err(), "{bad}");
        }
    }

    /// A flag that came later is not ignored in silence.
    #[test]
    fn a_copy_refuses_every_flag_of_a_new_model() {
        let mut program = crate::cli::command();
        program.build();
        let init = program.find_subcommand("init").unwrap();
        let from = init.get_arguments().find(|a| a.get_id() == "from").unwrap();
        let refused = init.get_arg_conflicts_with(from);
        let others = ["output", "from", "new_language", "help", "version"];
        for arg in init.get_arguments().filter(|a| !a.is_global_set()) {
            let id = arg.get_id().as_str();
            let conflicts = refused.iter().any(|r| r.get_id() == arg.get_id());
            assert_eq!(conflicts, !others.contains(&id), "{id}");
        }
    }
}
