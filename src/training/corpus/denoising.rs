//! Text of one language, to be restored from a damaged copy.

use super::{Corpus, CorpusSummary, Gathered, OnLong, TextOptions, in_windows, too_long};
use crate::error::Result;
use crate::io::Input;
use crate::records::{MonolingualReader, MonolingualRecord};
use crate::text::TextTokenizer;
use crate::training::task::Task;

impl Corpus {
    /// Adds text of one language a line, or both sides of parallel text; `progress` is told how
    /// many texts were read. Returns what was left out of them.
    ///
    /// # Errors
    /// Data: a broken record, an unknown language, a text without one, no usable text.
    pub fn add_denoising(
        &mut self,
        inputs: &[Input],
        tokenizer: &TextTokenizer,
        options: &TextOptions,
        mut progress: impl FnMut(u64),
    ) -> Result<CorpusSummary> {
        self.convention = tokenizer.convention();
        let mut gathered = Gathered::default();
        for input in inputs {
            self.begin_file(input);
            let mut reader = MonolingualReader::open(input, options.format, options.lang.clone())?;
            in_windows(&mut reader, |window| {
                let n = window.len() as u64;
                self.add_texts(window, input, tokenizer, options, &mut gathered)?;
                progress(n);
                Ok(())
            })?;
        }
        gathered.check(inputs)?;
        self.add_lanes(Task::Denoising, gathered.by_lang);
        Ok(gathered.summary)
    }

    fn add_texts(
        &mut self,
        window: Vec<MonolingualRecord>,
        input: &Input,
        tokenizer: &TextTokenizer,
        options: &TextOptions,
        gathered: &mut Gathered,
    ) -> Result<()> {
        let before = self.tokens.len();
        gathered.summary.num_records += window.len() as u64;
        for r in &window {
            tokenizer
                .languages()
                .id_of(&r.lang)
                .map_err(|e| e.at(input.name()).line(r.line).field(r.lang_field))?;
        }
        let items: Vec<(&str, &str)> = window.iter().map(|r| (&*r.lang, &*r.text)).collect();
        let encoded = tokenizer.encode_batch(&items, usize::MAX)?;
        for (r, e) in window.iter().zip(&encoded) {
            // Marks alone: blank, or of characters that the tokenizer drops.
            if e.ids.len() <= 2 {
                gathered.summary.num_empty += 1;
                continue;
            }
            if e.ids.len() > options.max_len {
                gathered.summary.num_long += 1;
                match options.on_long {
                    OnLong::Skip => continue,
                    OnLong::Cut => {}
                    OnLong::Error => {
                        return Err(too_long(e.ids.len(), options.max_len)
                            .at(input.name())
                            .line(r.line));
                    }
                }
            }
            let record = self.add_place(r.line);
            let sentence = self.add_sentence(&e.ids, options.max_len);
            gathered.summary.num_unk += u64::from(e.num_unk);
            gathered.add(&r.lang, sentence, record);
        }
        gathered.summary.num_tokens += (self.tokens.len() - before) as u64;
        Ok(())
    }
}
