//! The demo corpus of `examples/demo_corpus`: what it says in each language, and that its parts
//! stay apart.

#[path = "../../../examples/demo_corpus/generator/mod.rs"]
mod generator;

mod parts;
mod say;
mod sentences;
