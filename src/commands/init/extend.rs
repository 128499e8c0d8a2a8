//! `isogloss init --from`: a copy of a model that knows more languages.

mod args;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

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
use crate::text::{Mark, NewMark, TextTokenizer, add_languages};
use crate::training::copy_side_files;
pub use args::{ExtendArgs, NewLanguage};

/// Files beside tokenizer.json that may list the marks.
const LISTS: [&str; 4] =
    [hf::TOKENIZER_CONFIG, hf::GENERATION_CONFIG, "special_tokens_map.json", "added_tokens.json"];
/// The moments of a run's optimizer belong to the run.
const OPTIMIZER: &str = "optimizer.safetensors";

/// A tensor with rows for the new marks.
struct Grown {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The new model, but for what is copied as it is.
struct Extended {
    marks: Vec<NewMark>,
    /// For each of `marks`, the codes whose rows it begins with.
    like: Vec<Vec<String>>,
    rows: Vec<NewRow>,
    config: ModelConfig,
    languages: Vec<String>,
    /// config.json, tokenizer.json and the files that list the marks.
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
            for (NewMark { mark, .. }, like) in new.marks.iter().zip(&new.like) {
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
        if before.path().file_name() != Some(OsStr::new(hf::TOKENIZER)) {
            return Err(Error::artifact("this tokenizer takes no more languages")
                .at(before.path())
                .expected(format!("`{}`", hf::TOKENIZER))
                .hint("marks of M2M-100's files are those of its published list"));
        }
        let codes = before.languages().codes().to_vec();
        let mut tokenizer: Value = hf::read_json(before.path())?;
        let pairs: Vec<(&str, Option<&str>)> =
            asked.iter().map(|n| (&*n.code, n.like.as_deref())).collect();
        let marks = add_languages(&mut tokenizer, &pairs).map_err(|e| match e.kind() {
            ErrorKind::Usage => e.flag("--new-language"),
            _ => e.at(before.path()),
        })?;

        let config = grown_config(base, &marks)?;
        let texts = texts(base, &config, &tokenizer, &marks, &codes)?;
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
    fn grown_tensors(&self, base: &Checkpoint) -> Result<BTreeMap<String, Grown>> {
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
            out.insert(name.to_string(), Grown { shape, bytes });
        }
        Ok(out)
    }

    /// All tensors of the new model, in the types they have.
    fn tensors<'a>(
        &self,
        base: &'a Checkpoint,
        grown: &'a BTreeMap<String, Grown>,
    ) -> Result<BTreeMap<String, Entry<'a>>> {
        let mut out = BTreeMap::new();
        for name in base.files().names() {
            let Some(file) = base.files().file_of(name) else { continue };
            let view = file.view(name)?;
            let (shape, data) = match grown.get(name) {
                Some(Grown { shape, bytes }) => (shape.clone(), bytes.as_slice()),
                None => (view.shape().to_vec(), view.data()),
            };
            out.insert(name.to_string(), Entry { shape, data: Data::Raw(view.dtype(), data) });
        }
        Ok(out)
    }

    fn records(&self) -> Vec<Value> {
        let mut out = Vec::new();
        for (NewMark { mark, .. }, like) in self.marks.iter().zip(&self.like) {
            let Mark { code, token, id } = mark;
            out.push(json!({"lang": code, "mark": token, "id": id, "like": like}));
        }
        out
    }

    fn summary(&self, args: &Args, before: &ModelConfig, num_parameters: u64) -> String {
        let new: Vec<String> = args.extend.new_language.iter().map(ToString::to_string).collect();
        let vocabulary = match (before.vocab_size, self.config.vocab_size) {
            (before, after) if before == after => format!("{after} as before"),
            (before, after) => format!("{before} -> {after}"),
        };
        let plural = if new.len() == 1 { "" } else { "s" };
        format!(
            "{}: {} new language{plural} ({}), now {}: {}; vocabulary {vocabulary}, {:.1} M \
             parameters",
            args.output.display(),
            new.len(),
            new.join(", "),
            self.languages.len(),
            self.languages.join(" "),
            num_parameters as f64 / 1e6,
        )
    }
}

/// The configuration with room for the marks.
fn grown_config(base: &Checkpoint, marks: &[NewMark]) -> Result<ModelConfig> {
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
    Ok(config)
}

/// See [`Extended::texts`]; `codes` are the languages of the model.
fn texts(
    base: &Checkpoint,
    config: &ModelConfig,
    tokenizer: &Value,
    marks: &[NewMark],
    codes: &[String],
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut texts = BTreeMap::new();
    texts.insert(hf::TOKENIZER.to_string(), text_of(tokenizer)?);
    // As it is stored: this version may not know all that it says.
    let path = base.dir().join(hf::CONFIG);
    if config.vocab_size == base.config.vocab_size {
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        texts.insert(hf::CONFIG.to_string(), bytes);
    } else {
        let mut value: Value = hf::read_json(&path)?;
        value["vocab_size"] = config.vocab_size.into();
        texts.insert(hf::CONFIG.to_string(), text_of(&value)?);
    }
    for name in LISTS {
        let path = base.dir().join(name);
        if !path.is_file() {
            continue;
        }
        let mut value: Value = hf::read_json(&path)?;
        let listed = marks.iter().filter(|m| m.list_in(&mut value, codes)).count();
        if listed > 0 {
            texts.insert(name.to_string(), text_of(&value)?);
        }
    }
    Ok(texts)
}

fn text_of(value: &Value) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::bug("cannot encode a configuration").cause(e.to_string()))?;
    text.push(b'\n');
    Ok(text)
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
