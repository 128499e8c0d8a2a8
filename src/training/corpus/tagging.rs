//! Tagged text: words with their tags, by language. The first piece of a word carries its tag, all
//! other pieces and the marks none (Üstün et al. 2022, as their code).

use std::collections::{BTreeMap, BTreeSet};

use super::{Corpus, CorpusSummary, Gathered, OnLong, TextOptions, in_windows, too_long};
use crate::error::{Error, Result};
use crate::io::Input;
use crate::model::IGNORED;
use crate::records::{TaggedReader, TaggedRecord};
use crate::text::{EncodedWords, TextTokenizer};
use crate::training::task::Task;

/// Tags by name while text is read: of a given set, or as they come.
struct TagSet {
    ids: BTreeMap<String, u16>,
    /// No other tags are allowed.
    closed: bool,
}

impl TagSet {
    fn new(tags: &[String], closed: bool) -> Self {
        Self { ids: tags.iter().cloned().zip(0..).collect(), closed }
    }

    fn id_of(&mut self, tag: &str) -> Result<u16> {
        if let Some(&id) = self.ids.get(tag) {
            return Ok(id);
        }
        if self.closed {
            let have: Vec<&str> = self.ids.keys().map(String::as_str).collect();
            let shown = have[..have.len().min(24)].join(", ");
            let more = if have.len() > 24 { ", ..." } else { "" };
            return Err(Error::data(format!("unknown tag `{tag}`"))
                .field("tags")
                .expected(format!("one of {}: {shown}{more}", have.len()))
                .suggest(tag, have));
        }
        let id = self.ids.len() as u16;
        if id == IGNORED {
            return Err(Error::data("too many tags")
                .field("tags")
                .found(format!("`{tag}` as one more"))
                .expected(format!("at most {IGNORED} different tags")));
        }
        self.ids.insert(tag.to_string(), id);
        Ok(id)
    }
}

impl Corpus {
    /// Adds tagged text. Its tags are those in `known` (held-out text, a run that goes on), else
    /// [`Corpus::tags`] grows to hold them, sorted. `progress` is told how many sentences were
    /// read. Returns what was left out of them.
    ///
    /// # Errors
    /// Data: a broken record, one without tags, an unknown language or tag, no usable sentence.
    pub fn add_tagging(
        &mut self,
        inputs: &[Input],
        tokenizer: &TextTokenizer,
        options: &TextOptions,
        known: Option<&[String]>,
        mut progress: impl FnMut(u64),
    ) -> Result<CorpusSummary> {
        if let Some(known) = known {
            if self.tags.is_empty() {
                self.tags = known.to_vec();
            }
            let distinct: BTreeSet<&String> = known.iter().collect();
            if self.tags != known || distinct.len() != known.len() {
                return Err(Error::bug("two tag sets, or a tag twice in one"));
            }
        }
        let mut set = TagSet::new(&self.tags, known.is_some());
        self.convention = tokenizer.convention();
        let mut gathered = Gathered::default();
        self.labels.resize(self.tokens.len(), IGNORED);
        for input in inputs {
            self.begin_file(input);
            let mut reader = TaggedReader::open(input, options.lang.clone())?;
            in_windows(&mut reader, |window| {
                let n = window.len() as u64;
                self.add_tagged(window, (input, tokenizer, options), &mut set, &mut gathered)?;
                progress(n);
                Ok(())
            })?;
        }
        gathered.check(inputs)?;
        if !set.closed {
            self.sort_tags(set);
        }
        self.add_lanes(Task::Tagging, gathered.by_lang);
        Ok(gathered.summary)
    }

    /// Numbers tags by their order instead of that of their first use.
    fn sort_tags(&mut self, set: TagSet) {
        let mut new_ids = vec![IGNORED; set.ids.len()];
        for (new, old) in set.ids.values().enumerate() {
            new_ids[usize::from(*old)] = new as u16;
        }
        for label in &mut self.labels {
            if let Some(new) = new_ids.get(usize::from(*label)) {
                *label = *new;
            }
        }
        self.tags = set.ids.into_keys().collect();
    }

    fn add_tagged(
        &mut self,
        window: Vec<TaggedRecord>,
        (input, tokenizer, options): (&Input, &TextTokenizer, &TextOptions),
        set: &mut TagSet,
        gathered: &mut Gathered,
    ) -> Result<()> {
        let before = self.tokens.len();
        let place = |e: Error, line: u64| e.at(input.name()).line(line);
        let mut items: Vec<(&str, &[String])> = Vec::with_capacity(window.len());
        let mut tags: Vec<&[String]> = Vec::with_capacity(window.len());
        for r in &window {
            let place = |e: Error| place(e, r.line);
            let missing = |field: &str| {
                place(Error::data(format!("record has no `{field}`")).field(field))
                    .hint("a tagged sentence has lang, tokens and tags")
            };
            let lang = r.lang.as_deref().ok_or_else(|| missing("lang"))?;
            tokenizer.languages().id_of(lang).map_err(|e| place(e.field("lang")))?;
            tags.push(r.tags.as_ref().ok_or_else(|| missing("tags"))?);
            items.push((lang, &r.tokens));
        }
        gathered.summary.num_records += window.len() as u64;
        let encoded = tokenizer.encode_words_batch(&items)?;
        for (i, mut e) in encoded.into_iter().enumerate() {
            let (line, lang) = (window[i].line, items[i].0);
            let is_long = e.ids.len() > options.max_len;
            if is_long {
                gathered.summary.num_long += 1;
                match options.on_long {
                    OnLong::Skip => continue,
                    OnLong::Cut => e.cut(options.max_len),
                    OnLong::Error => {
                        return Err(place(too_long(e.ids.len(), options.max_len), line));
                    }
                }
            }
            // Only now: what is left out brings no tag into the set.
            let labels = tags[i].iter().map(|t| set.id_of(t).map_err(|e| place(e, line)));
            let of_tokens = labels_of_tokens(&e, &labels.collect::<Result<Vec<u16>>>()?);
            let words = of_tokens.iter().filter(|l| **l != IGNORED).count();
            if words == 0 {
                // Every word was dropped, by the tokenizer or by the cut.
                gathered.summary.num_empty += u64::from(!is_long);
                continue;
            }
            gathered.summary.num_words += words as u64;
            gathered.summary.num_dropped += (e.num_words() - words) as u64;
            let is_unk = |id: &&u32| Some(**id) == tokenizer.unk_id();
            gathered.summary.num_unk += e.ids.iter().filter(is_unk).count() as u64;
            let record = self.add_place(line);
            let sentence = self.add_sentence(&e.ids, options.max_len);
            self.labels.extend(of_tokens);
            gathered.add(lang, sentence, record);
        }
        gathered.summary.num_tokens += (self.tokens.len() - before) as u64;
        Ok(())
    }
}

/// `[tokens]` from one label a word.
fn labels_of_tokens(e: &EncodedWords, labels: &[u16]) -> Vec<u16> {
    let mut out = vec![IGNORED; e.ids.len()];
    for (word, &label) in labels.iter().enumerate().take(e.num_words()) {
        if let Some(at) = e.first_piece(word) {
            out[at] = label;
        }
    }
    out
}
