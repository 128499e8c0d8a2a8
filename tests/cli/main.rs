//! Black-box tests of the binary: a module per subcommand, plus help, configuration, errors
//! and pipes. One binary, because linking the tensor library is the slow part.

mod support;

mod adapters;
mod adapters_bad;
mod adapters_damaged;
mod adapters_laws;
mod config;
mod curves;
mod demo_corpus;
mod errors;
mod examples;
mod formats;
mod gen_adapters;
mod help;
mod init;
mod init_extend;
mod inspect;
mod lora;
mod lora_bad;
mod lora_masks;
mod neurons;
mod pipes;
mod ranks;
mod score;
mod shortlist;
mod tag;
mod tokenize;
mod train;
mod train_memory;
mod translate;
