//! Flags of `train` about tasks beside translation: denoising of text in one language, and tagging.

use serde::Serialize;

use super::args::Args;
use crate::cli::Context;
use crate::cli::values::{Fraction, refuse_two_stdin};
use crate::error::{Error, Result};
use crate::formats::hf;
use crate::io::Input;
use crate::model::Checkpoint;
use crate::text::TextTokenizer;
use crate::training::{
    Corpus, CorpusSummary, NoiseSettings, TAG_HEAD, TagHead, Task, Tasks, TextOptions,
};

const HEADING: &str = "Tasks beside translation";

/// What is trained with, or instead of, parallel text.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct TaskArgs {
    /// Text to restore from damaged copies: records with `lang` and `text`, or parallel text, of
    /// which both sides are used; may be repeated
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub denoise: Vec<String>,
    /// Language of denoising text that names none, such as plain lines
    #[arg(long, value_name = "LANG", requires = "denoise", help_heading = HEADING)]
    pub denoise_lang: Option<String>,
    /// Tagged text: records with `lang`, `tokens` and `tags`; may be repeated
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub tag: Vec<String>,
    /// Text to denoise for validation; may be repeated
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub valid_denoise: Vec<String>,
    /// Tagged text to validate on; may be repeated
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub valid_tag: Vec<String>,
    /// Only these languages of denoising text, by commas
    #[arg(long, value_delimiter = ',', value_name = "LANGS", help_heading = HEADING)]
    pub denoise_languages: Vec<String>,
    /// Only these languages of tagged text to train on, by commas
    #[arg(long, value_delimiter = ',', value_name = "LANGS", help_heading = HEADING)]
    pub tag_languages: Vec<String>,
    /// Pieces hidden from denoising [default: 15%]
    #[arg(long, value_name = "SHARE", help_heading = HEADING)]
    #[serde(serialize_with = "super::lora_args::share")]
    pub noise_mask: Option<Fraction>,
    /// Pieces left out [default: 10%]
    #[arg(long, value_name = "SHARE", help_heading = HEADING)]
    #[serde(serialize_with = "super::lora_args::share")]
    pub noise_drop: Option<Fraction>,
    /// Pieces move by less than this many places [default: 3]
    #[arg(long, value_name = "N", help_heading = HEADING)]
    pub noise_shuffle: Option<usize>,
}

impl TaskArgs {
    pub fn is_empty(&self) -> bool {
        self.denoise.is_empty() && self.tag.is_empty()
    }

    /// What is wrong before anything is read.
    pub fn check(&self) -> Result<()> {
        let idle = [
            ("--valid-denoise", !self.valid_denoise.is_empty() && self.denoise.is_empty()),
            ("--denoise-languages", !self.denoise_languages.is_empty() && self.denoise.is_empty()),
            ("--noise-mask", self.noise_mask.is_some() && self.denoise.is_empty()),
            ("--noise-drop", self.noise_drop.is_some() && self.denoise.is_empty()),
            ("--noise-shuffle", self.noise_shuffle.is_some() && self.denoise.is_empty()),
            ("--valid-tag", !self.valid_tag.is_empty() && self.tag.is_empty()),
            ("--tag-languages", !self.tag_languages.is_empty() && self.tag.is_empty()),
        ];
        if let Some((flag, _)) = idle.into_iter().find(|(_, given)| *given) {
            let needs = if flag.contains("tag") { "--tag" } else { "--denoise" };
            return Err(Error::usage(format!("`{flag}` without text of its task"))
                .flag(flag)
                .hint(format!("add `{needs} FILE`")));
        }
        self.noise().check()
    }

    fn noise(&self) -> NoiseSettings {
        let default = NoiseSettings::default();
        NoiseSettings {
            mask: self.noise_mask.map_or(default.mask, |f| f.0),
            drop: self.noise_drop.map_or(default.drop, |f| f.0),
            shuffle: self.noise_shuffle.unwrap_or(default.shuffle),
        }
    }

    /// Standard input can be read once.
    fn refuse_two_stdin(&self, args: &Args) -> Result<()> {
        let lists = [
            ("--train", &args.train),
            ("--valid", &args.valid),
            ("--denoise", &self.denoise),
            ("--tag", &self.tag),
            ("--valid-denoise", &self.valid_denoise),
            ("--valid-tag", &self.valid_tag),
        ];
        let inputs: Vec<(&str, Input)> = lists
            .into_iter()
            .flat_map(|(flag, paths)| paths.iter().map(move |p| (flag, Input::parse(p))))
            .collect();
        refuse_two_stdin(inputs.iter().map(|(flag, input)| (*flag, input)))
    }

    /// The tag head beside what `--init-from` names, for a run that trains tagging on.
    ///
    /// # Errors
    /// Usage: vectors of new languages are to be learned by tagging without one.
    pub fn head_to_begin_from(&self, args: &Args, base: &Checkpoint) -> Result<Option<TagHead>> {
        let Some(path) = args.init_from.as_ref().filter(|_| !self.tag.is_empty()) else {
            return Ok(None);
        };
        let dir = hf::resolve_dir(path, TAG_HEAD, |dir| dir.join(TAG_HEAD).is_file());
        match dir {
            Ok(Some(dir)) => TagHead::read(&dir, base.config.d_model).map(Some),
            _ if args.adapters.new_language.is_empty() => Ok(None),
            _ => Err(Error::usage("there is no tag head that a new language could be learned for")
                .flag("--tag")
                .found(format!("no `{TAG_HEAD}` in {}", path.display()))
                .hint("learn it from text: `--train` or `--denoise`")),
        }
    }

    /// Adds the text of the tasks to a corpus of parallel text; `tags` are those there can be.
    pub fn read(
        &self,
        args: &Args,
        context: &Context,
        corpus: &mut Corpus,
        (tokenizer, base): (&TextTokenizer, &Checkpoint),
        (half, tags): (Half, Option<&[String]>),
    ) -> Result<()> {
        let (denoise, tag, what) = match half {
            Half::Train => (&self.denoise, &self.tag, "train"),
            Half::HeldOut => (&self.valid_denoise, &self.valid_tag, "valid"),
        };
        let options = TextOptions {
            format: None,
            lang: self.denoise_lang.clone(),
            max_len: args.pairs.corpus_options(&base.config, false)?.max_len,
            on_long: args.pairs.on_long,
        };
        let inputs = |paths: &[String]| paths.iter().map(|p| Input::parse(p)).collect::<Vec<_>>();
        self.refuse_two_stdin(args)?;
        if !denoise.is_empty() {
            let mut progress = context.report.progress("reading denoising", "records", None);
            let summary = corpus
                .add_denoising(&inputs(denoise), tokenizer, &options, |n| progress.add(n))
                .map_err(|e| match e.place().field.as_deref() {
                    Some("lang") if options.lang.is_none() => {
                        e.hint("`--denoise-lang LANG` names the language of text that names none")
                    }
                    _ => e,
                })?;
            progress.finish();
            say(&format!("{what} denoising"), &summary, context);
            only(corpus, Task::Denoising, &self.denoise_languages, "--denoise-languages")?;
        }
        if !tag.is_empty() {
            // The language of denoising text is not that of tagged text.
            let options = TextOptions { lang: None, ..options };
            let mut progress = context.report.progress("reading tags", "records", None);
            let summary =
                corpus.add_tagging(&inputs(tag), tokenizer, &options, tags, |n| progress.add(n))?;
            progress.finish();
            say(&format!("{what} tagged"), &summary, context);
            if half == Half::Train {
                only(corpus, Task::Tagging, &self.tag_languages, "--tag-languages")?;
            }
        }
        Ok(())
    }

    /// Texts of the tasks that are trained on.
    pub fn train_texts(&self) -> impl Iterator<Item = &String> {
        self.denoise.iter().chain(&self.tag)
    }

    /// What the trainer needs for the tasks of a corpus. The tag head begins as `head`, where there
    /// is one, and may stay as it is.
    pub fn tasks(
        &self,
        corpus: &Corpus,
        (tokenizer, base): (&TextTokenizer, &Checkpoint),
        context: &Context,
        (begin, trains_head): (Option<&TagHead>, bool),
        first_slot: usize,
    ) -> Result<Tasks> {
        let noise = match corpus.has(Task::Denoising) {
            false => None,
            true => {
                let mask = tokenizer.id_of_piece("<mask>").or(tokenizer.unk_id());
                let mask = mask.ok_or_else(|| {
                    Error::artifact("the tokenizer has neither `<mask>` nor `<unk>` to hide pieces")
                        .at(tokenizer.path())
                })?;
                Some((self.noise(), mask))
            }
        };
        let tag_head = match corpus.has(Task::Tagging) {
            false => None,
            true => {
                let mut head = TagHead::new(corpus.tags.clone(), &base.config, context.seed)?;
                if let Some(begin) = begin {
                    let (taken, all) = (head.take_from(begin)?, head.tags().len());
                    if taken < all {
                        context.report.warning(
                            &Error::artifact(
                                "not all tags were trained there; the others begin anew",
                            )
                            .flag("--init-from")
                            .found(format!("{taken} of {all}")),
                        );
                    }
                }
                if trains_head {
                    for (slot, p) in (first_slot..).zip(head.parameters_mut()) {
                        p.slot = Some(slot);
                    }
                }
                Some(head)
            }
        };
        Ok(Tasks { noise, tag_head })
    }
}

/// Which text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Train,
    HeldOut,
}

/// Leaves the lanes of a task in some languages alone.
fn only(corpus: &mut Corpus, task: Task, languages: &[String], flag: &str) -> Result<()> {
    if languages.is_empty() {
        return Ok(());
    }
    let of = |c: &Corpus| -> Vec<String> {
        let lanes = c.directions.iter().filter(|d| d.task == task);
        lanes.map(|d| d.direction.src_lang.clone()).collect()
    };
    let have = of(corpus);
    if let Some(l) = languages.iter().find(|l| !have.contains(l)) {
        return Err(Error::usage(format!("there is no such text in `{l}`"))
            .flag(flag)
            .expected(have.join(", "))
            .suggest(l, have.iter().map(String::as_str)));
    }
    corpus.directions.retain(|d| d.task != task || languages.contains(&d.direction.src_lang));
    Ok(())
}

fn say(what: &str, summary: &CorpusSummary, context: &Context) {
    let counts = [
        (summary.num_empty, "records have nothing in them"),
        (summary.num_long, "sentences are longer than the model allows"),
        (summary.num_unk, "tokens are unknown to the tokenizer"),
        (summary.num_dropped, "words have no place for their tag"),
    ];
    for (n, complaint) in counts.into_iter().filter(|(n, _)| *n > 0) {
        context.report.warning(&Error::data(format!("{n} {complaint} in the {what} text")));
    }
}
