mod demo_corpus;
