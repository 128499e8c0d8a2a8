mod demo_corpus;
mod examples;
