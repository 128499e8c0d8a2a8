//! Reading and encoding on a thread of their own, so that decoding never waits for text that
//! is there, and shows what it has when there is none.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::io::Input;
use crate::methods::{DirectionUse, Provider};
use crate::records::{InputFormat, ParallelReader, ParallelRecord, ReadOptions};
use crate::text::{Encoded, TextTokenizer};

pub struct ReaderOptions {
    pub read: ReadOptions,
    pub reverse: bool,
    pub both_directions: bool,
    pub score_given: bool,
    pub prefix: Prefix,
    pub parts: Arc<Provider>,
    /// Tokens the model's positions hold.
    pub max_len: usize,
    pub refuse_long: bool,
    /// Broken lines to answer and pass over.
    pub tolerate: u64,
}

/// How translations are made to begin.
#[derive(Clone, Debug, Default)]
pub struct Prefix {
    /// All of them.
    pub text: Option<String>,
    /// Each with the text of this field.
    pub field: Option<String>,
}

impl Prefix {
    /// # Errors
    /// Data: a field that is no text.
    fn of<'a>(&'a self, record: &'a ParallelRecord) -> Result<Option<&'a str>> {
        let Some(field) = &self.field else { return Ok(self.text.as_deref()) };
        match record.raw.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::data("prefix is no text")
                .field(field.clone())
                .found(other.to_string())
                .expected("a string")),
        }
    }
}

/// A sentence ready to be translated.
pub struct Sentence {
    pub src_lang: String,
    pub tgt_lang: String,
    pub src: String,
    /// The other side, when the sides were swapped or a reference is carried.
    pub reference: Option<String>,
    pub swapped: bool,
    pub encoded: Encoded,
    /// The tokens the translation is made to begin with.
    pub forced: Vec<u32>,
    /// Labels to score instead of searching.
    pub given: Option<Vec<u32>>,
    /// Whose neurons and adapters the direction uses.
    pub parts: DirectionUse,
}

/// One line of the output to be.
pub struct Item {
    /// The record's id, or its zero-based number.
    pub id: String,
    pub record: ParallelRecord,
    /// What to translate, or what is wrong with the line.
    pub sentence: std::result::Result<Sentence, Error>,
}

pub enum Message {
    /// The format of the first input, known before anything is written.
    Format(InputFormat),
    Item(Box<Item>),
    /// Reading cannot go on.
    Failed(Error),
    /// All was read. A reader that goes away without it has failed.
    End,
}

/// Starts reading; at most `ahead` items wait.
pub fn spawn(
    inputs: Vec<Input>,
    tokenizer: Arc<TextTokenizer>,
    options: ReaderOptions,
    ahead: usize,
) -> Result<Receiver<Message>> {
    let (sender, receiver) = sync_channel(ahead.clamp(1, 4096));
    std::thread::Builder::new()
        .name("reader".into())
        .spawn(move || {
            let last = match read(&inputs, &tokenizer, &options, &sender) {
                Ok(()) => Message::End,
                Err(Some(e)) => Message::Failed(e),
                Err(None) => return,
            };
            let _ = sender.send(last);
        })
        .map_err(|e| Error::environment("cannot start a thread").cause(e.to_string()))?;
    Ok(receiver)
}

/// Ends with `Err(None)` when nobody listens any more.
fn read(
    inputs: &[Input],
    tokenizer: &TextTokenizer,
    options: &ReaderOptions,
    sender: &SyncSender<Message>,
) -> std::result::Result<(), Option<Error>> {
    let mut number = 0u64;
    let mut broken = 0u64;
    for (i, input) in inputs.iter().enumerate() {
        let mut reader = ParallelReader::open(input, options.read.clone()).map_err(Some)?;
        if i == 0 {
            sender.send(Message::Format(reader.format())).map_err(|_| None)?;
        }
        loop {
            let (record, failed) = match reader.next_record() {
                Ok(Some(record)) => (record, None),
                Ok(None) => break,
                Err(e) if e.kind() == ErrorKind::Data && broken < options.tolerate => {
                    (ParallelRecord::default(), Some(e))
                }
                Err(e) => return Err(Some(e)),
            };
            let id = record.id.clone().unwrap_or_else(|| number.to_string());
            number += 1;
            let ways: &[bool] = match (options.both_directions, options.reverse) {
                (true, _) => &[false, true],
                (_, reverse) => {
                    if reverse {
                        &[true]
                    } else {
                        &[false]
                    }
                }
            };
            let place = |e: Error| e.at(input.name()).line(record.line);
            let mut counted = false;
            for &swap in ways {
                let sentence = match &failed {
                    Some(e) => Err(e.clone()),
                    None => {
                        sentence(&record, swap, reader.format(), tokenizer, options).map_err(place)
                    }
                };
                if let Err(e) = &sentence {
                    // A record is broken once, in however many directions.
                    if !counted && broken >= options.tolerate || e.kind() != ErrorKind::Data {
                        return Err(Some(e.clone()));
                    }
                    broken += u64::from(!counted);
                    counted = true;
                }
                let item = Item { id: id.clone(), record: record.clone(), sentence };
                sender.send(Message::Item(Box::new(item))).map_err(|_| None)?;
            }
        }
    }
    Ok(())
}

fn sentence(
    record: &ParallelRecord,
    swap: bool,
    format: InputFormat,
    tokenizer: &TextTokenizer,
    options: &ReaderOptions,
) -> Result<Sentence> {
    let missing = |field: &str, flag: &str| {
        if format == InputFormat::Text {
            Error::usage(format!("`{flag}` is needed to translate plain lines")).flag(flag)
        } else {
            Error::data(format!("record has no `{field}`")).field(field)
        }
        .hint(format!("give it for all records with `{flag}`"))
    };
    let src_lang = record.src_lang.as_ref().ok_or_else(|| missing("src_lang", "--src-lang"))?;
    let tgt_lang = record.tgt_lang.as_ref().ok_or_else(|| missing("tgt_lang", "--tgt-lang"))?;
    let languages = tokenizer.languages();
    languages.id_of(src_lang).map_err(|e| e.field("src_lang"))?;
    languages.id_of(tgt_lang).map_err(|e| e.field("tgt_lang"))?;
    let src = record.src.as_ref().ok_or_else(|| {
        Error::data("record has no `src`")
            .field("src")
            .hint("the source text is called `src` or `text`")
    })?;
    let reference = record.refs.first();
    let (src_lang, tgt_lang, src, reference) = if swap {
        let other = reference
            .ok_or_else(|| Error::data("record has no `tgt` to translate back").field("tgt"))?;
        (tgt_lang, src_lang, other, Some(src))
    } else {
        (src_lang, tgt_lang, src, reference)
    };
    let parts = options.parts.choose(src_lang, tgt_lang).map_err(|e| {
        let is_of = |what: &str| e.message().contains(what);
        if options.parts.lora.is_some() && is_of("LoRA") {
            e.hint("`--unknown-language base` runs the base model where its LoRA would stand")
        } else if options.parts.adapters.is_some() && (is_of("adapter") || is_of("vector")) {
            e.hint("`--unknown-language base` runs the base model where its adapters would stand")
        } else {
            e
        }
    })?;
    let encoded = tokenizer.encode_source(src_lang, tgt_lang, src, options.max_len)?;
    if encoded.truncated && options.refuse_long {
        return Err(Error::data("source is too long")
            .field("src")
            .expected(format!("at most {} tokens with its marks", options.max_len))
            .hint("`--on-long cut` translates the beginning"));
    }
    let given = if options.score_given {
        let text = reference.ok_or_else(|| {
            Error::data("record has no reference to score")
                .field("tgt")
                .hint("`--score-given` scores `tgt`, `ref` or `refs`")
        })?;
        let given = tokenizer.encode_target(tgt_lang, text, options.max_len)?;
        if given.truncated {
            // Half a reference has a score of its own, which nobody asked for.
            return Err(Error::data("reference is too long to score")
                .field("tgt")
                .expected(format!("at most {} tokens with its marks", options.max_len)));
        }
        Some(given.ids)
    } else {
        None
    };
    let mut forced: Vec<u32> = tokenizer.forced(tgt_lang)?.into_iter().collect();
    if let Some(text) = options.prefix.of(record)? {
        forced.extend(tokenizer.encode_pieces(text)?);
        if forced.len() >= options.max_len {
            return Err(Error::data("prefix is too long")
                .found(format!("{} tokens", forced.len()))
                .expected(format!("below {}", options.max_len)));
        }
    }
    Ok(Sentence {
        forced,
        src_lang: src_lang.clone(),
        tgt_lang: tgt_lang.clone(),
        src: src.clone(),
        reference: reference.cloned(),
        swapped: swap,
        encoded,
        given,
        parts,
    })
}
