# The trained base in narrower number formats; included by the Makefile.
#
#   make -C examples/real int8                # BLEU and chrF++ of f32, bf16 and int8, size and time

NUM := $(ISOGLOSS_WORK)/numbers
NUM_FORMATS := f32 bf16 int8
# Sentences of each language of the test text.
NUM_TEST_SENTENCES ?= 200

ifdef HAS_MAIN
.PHONY: int8
int8: $(NUM)/table.txt
	@cat $<
else
int8:
	$(call skipped,main)
endif

# Kept: translating with them takes minutes.
.PRECIOUS: $(NUM)/%/config.json $(NUM)/%.jsonl
$(NUM)/test.jsonl: $(DATA)/main/test.jsonl
	@mkdir -p $(NUM); $(call first_of,$<,$(NUM_TEST_SENTENCES)) > $@.part; mv $@.part $@

# The stored models: what is translated with below.
$(NUM)/%/config.json: $(NEURON_NEEDS) | $(ISOGLOSS)
	@mkdir -p $(NUM); $(ISOGLOSS) export -m $(NEURON_BASE) --dtype $* --force --format text -o $(NUM)/$* \
		> $(NUM)/$*.export
	@touch $@

$(NUM)/%.jsonl: $(NUM)/%/config.json $(NUM)/test.jsonl | $(ISOGLOSS)
	@$(STEP) $(NUM)/times.tsv translate-$* $(TRANSLATE_TEST) --summary -m $(NUM)/$* $(NUM)/test.jsonl > $@.part
	@mv $@.part $@

# Size and speed, the rounding of the weights, and the scores beside those of f32.
$(NUM)/table.txt: $(NUM_FORMATS:%=$(NUM)/%.jsonl) groups.tsv | $(ISOGLOSS)
	@for f in $(NUM_FORMATS); do echo "$$f: $$(head -n 1 $(NUM)/$$f.export), \
	$$(tail -n 1 $(NUM)/$$f.jsonl | grep -o '"tok_per_s":[0-9.]*')"; done > $@.part
	@for f in bf16 int8; do $(ISOGLOSS) inspect $(NUM)/f32 --dtype $$f --quick --format jsonl \
		| grep -o '"rounding":{"dtype":"[a-z0-9]*","relative_error":[0-9.e-]*' >> $@.part; done
	@for m in "bleu --tokenize zh" "chrf++"; do \
		$(ISOGLOSS) score --metric $$m --groups groups.tsv --by tier --test paired_bs \
			$(NUM)/f32.jsonl $(NUM)/bf16.jsonl $(NUM)/int8.jsonl >> $@.part || exit 1; \
	done
	@mv $@.part $@
