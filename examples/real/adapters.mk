# Adapters, hyper-adapters and Hyper-X on real text; included by the Makefile.
#
#   make -C examples/real adapters            # stored adapters beside hyper-networks of four sizes
#   make -C examples/real adapters-scratch    # the same trained together with a model from scratch
#   make -C examples/real adapters-few        # languages the model never saw: 0, 100 and all pairs
#   make -C examples/real adapters-exported   # generated and exported adapters, line by line
#   make -C examples/real hyper-x             # tags of languages whose tags were never seen
#   make -C examples/real adapters-rates      # held-out losses by which the learning rates were chosen
#
# `make -j2 ISOGLOSS_THREADS=1` runs two trainings side by side, which is faster on two cores.

AD := $(ISOGLOSS_WORK)/adapters
ADAPTER_STEPS ?= 200
ADAPTER_SEED ?= 1
ADAPTER_TRAIN_FLAGS ?= --batch-tokens 1024 --grad-accum 4 --temperature 2 --warmup-steps 50 \
	--valid-every 25 --save-every 25 --average 3 --log-every 25
# Sentences of each language of the held-out text whose loss makes the curves, and of the test text.
ADAPTER_DEV_SENTENCES ?= 60
ADAPTER_TEST_SENTENCES ?= 200
# By the held-out loss after 120 updates (`make adapters-rates`).
ADAPTER_LR ?= 6e-3
HYPER_LR ?= 6e-3

# Without rescaling at the hidden sizes of a twelfth and of all of the stored adapters' parameters.
ADAPTER_RUNS := stored shared hyper-1 hyper-2 hyper-6 hyper-12 raw-1 raw-12
adapter_flags_stored := --method adapters --lr $(ADAPTER_LR)
adapter_flags_shared := --method adapters --adapter-index shared --lr $(ADAPTER_LR)
adapter_flags_hyper-1 := --method hyper-adapters --match-params 1/1 --lr $(HYPER_LR)
adapter_flags_hyper-2 := --method hyper-adapters --match-params 1/2 --lr $(HYPER_LR)
adapter_flags_hyper-6 := --method hyper-adapters --match-params 1/6 --lr $(HYPER_LR)
adapter_flags_hyper-12 := --method hyper-adapters --match-params 1/12 --lr $(HYPER_LR)
adapter_flags_raw-1 := $(adapter_flags_hyper-1) --no-rescale
adapter_flags_raw-12 := $(adapter_flags_hyper-12) --no-rescale

ifdef HAS_MAIN
.PHONY: adapters adapters-scratch adapters-exported adapters-rates
adapters: $(AD)/table.txt
	@cat $<
adapters-scratch: $(AD)/scratch/table.txt
	@cat $<
adapters-exported: $(AD)/exported.txt
	@cat $<
adapters-rates: $(AD)/rates.txt
	@cat $<
else
adapters adapters-scratch adapters-exported adapters-rates:
	$(call skipped,main)
endif

# The first sentences of each language.
first_of = awk -v n=$(2) 'match($$0, /"tgt_lang":"[^"]*"/) { if (seen[substr($$0, RSTART, RLENGTH)]++ < n) print }' $(1)
$(AD)/dev.jsonl: $(DATA)/main/dev.jsonl
	@mkdir -p $(AD); $(call first_of,$<,$(ADAPTER_DEV_SENTENCES)) > $@.part; mv $@.part $@
$(AD)/test.jsonl: $(DATA)/main/test.jsonl
	@mkdir -p $(AD); $(call first_of,$<,$(ADAPTER_TEST_SENTENCES)) > $@.part; mv $@.part $@
# A run begins afresh when its flags are others.
$(ADAPTER_RUNS:%=$(AD)/%.flags): $(AD)/%.flags: FORCE
	@mkdir -p $(AD); printf '%s\n' '$(NEURON_BASE) $(ADAPTER_STEPS) $(ADAPTER_SEED) $(ADAPTER_TRAIN_FLAGS) \
		$(ADAPTER_DEV_SENTENCES) $(adapter_flags_$*)' > $@.new; \
		if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

adapter_train = $(ISOGLOSS) train --train $(DATA)/main/train.jsonl --valid $(AD)/dev.jsonl \
	--max-steps $(ADAPTER_STEPS) --seed $(ADAPTER_SEED) $(ADAPTER_TRAIN_FLAGS)
$(ADAPTER_RUNS:%=$(AD)/%.log): $(AD)/%.log: $(NEURON_NEEDS) $(AD)/%.flags $(AD)/dev.jsonl | $(ISOGLOSS)
	@test $(AD)/$*/config.toml -nt $(AD)/$*.flags || rm -rf $(AD)/$*
	@$(STEP) $(AD)/times.tsv train-$* $(adapter_train) -m $(NEURON_BASE) $(adapter_flags_$*) \
		-o $(AD)/$* > $@.part
	@mv $@.part $@

$(ADAPTER_RUNS:%=$(AD)/%.jsonl): $(AD)/%.jsonl: $(AD)/%.log $(AD)/test.jsonl | $(ISOGLOSS)
	@$(STEP) $(AD)/times.tsv translate-$* $(TRANSLATE_TEST) -m $(NEURON_BASE) --adapters $(AD)/$* \
		$(AD)/test.jsonl > $@.part
	@mv $@.part $@
$(AD)/base.jsonl: $(NEURON_NEEDS) $(AD)/test.jsonl | $(ISOGLOSS)
	@$(STEP) $(AD)/times.tsv translate-base $(TRANSLATE_TEST) -m $(NEURON_BASE) $(AD)/test.jsonl > $@.part
	@mv $@.part $@

adapter_given = $(ISOGLOSS) translate --both-directions --score-given $(AD)/test.jsonl
$(ADAPTER_RUNS:%=$(AD)/%.given): $(AD)/%.given: $(AD)/%.log $(AD)/test.jsonl | $(ISOGLOSS)
	@$(adapter_given) -m $(NEURON_BASE) --adapters $(AD)/$* > $@.part
	@mv $@.part $@
$(AD)/base.given: $(NEURON_NEEDS) $(AD)/test.jsonl | $(ISOGLOSS)
	@mkdir -p $(AD); $(adapter_given) -m $(NEURON_BASE) > $@.part
	@mv $@.part $@

# Parameters; losses of the references of the test text without the language mark; scores with stored
# adapters as the baseline; curves; similarity of language vectors.
$(AD)/table.txt: $(AD)/base.jsonl $(ADAPTER_RUNS:%=$(AD)/%.jsonl) $(AD)/base.given \
		$(ADAPTER_RUNS:%=$(AD)/%.given) groups.tsv given-loss.sh | $(ISOGLOSS)
	@for run in $(ADAPTER_RUNS); do printf '%s: ' $$run; \
		$(ISOGLOSS) inspect $(AD)/$$run/checkpoints/average --format jsonl | \
			grep -o '"num_values":[0-9]*' | head -n 1; \
	done > $@.part
	@./given-loss.sh $(AD)/base.given $(ADAPTER_RUNS:%=$(AD)/%.given) >> $@.part
	@for m in "bleu --tokenize zh" "chrf++"; do \
		$(ISOGLOSS) score --metric $$m $(LORA_BY) --test paired_bs $(AD)/stored.jsonl $(AD)/base.jsonl \
			$(patsubst %,$(AD)/%.jsonl,$(filter-out stored,$(ADAPTER_RUNS))) >> $@.part || exit 1; \
		$(ISOGLOSS) score --metric $$m --test paired_bs $(AD)/hyper-1.jsonl $(AD)/raw-1.jsonl \
			>> $@.part || exit 1; \
		$(ISOGLOSS) score --metric $$m --test paired_bs $(AD)/hyper-12.jsonl $(AD)/raw-12.jsonl \
			>> $@.part || exit 1; \
		echo >> $@.part; \
	done
	@$(ISOGLOSS) inspect $(ADAPTER_RUNS:%=$(AD)/%) --curves $(AD)/curves --force >> $@.part
	@$(ISOGLOSS) gen-adapters $(AD)/hyper-1 --embeddings $(AD)/vectors --groups groups.tsv --by family --force
	@./related.sh $(AD)/vectors/languages.jsonl groups.tsv >> $@.part
	@mv $@.part $@

# Held-out losses of a few updates at several learning rates.
adapter_rate = $(ISOGLOSS) train -m $(NEURON_BASE) --train $(DATA)/main/train.jsonl \
	--valid $(DATA)/main/dev.jsonl --max-steps 120 --warmup-steps 40 --valid-every 120 --save-every 200 \
	--batch-tokens 1024 --grad-accum 4 --temperature 2 --overwrite
$(AD)/rates.txt: $(NEURON_NEEDS) | $(ISOGLOSS)
	@mkdir -p $(AD); for rate in 5e-4 2e-3 6e-3; do \
		$(adapter_rate) --method adapters --lr $$rate -o $(AD)/rate-stored-$$rate > $@.log || exit 1; \
		echo "stored $$rate $$(grep 'valid.* all ' $@.log)"; \
	done > $@.part
	@for rate in 2e-3 6e-3; do \
		$(adapter_rate) --method hyper-adapters --match-params 1/6 --lr $$rate \
			-o $(AD)/rate-hyper-$$rate > $@.log || exit 1; \
		echo "hyper-6 $$rate $$(grep 'valid.* all ' $@.log)"; \
	done >> $@.part
	@mv $@.part $@

# Translations of 1,000 sentences and log probabilities of their references, generated and exported.
exported_both = $(ISOGLOSS) translate -m $(NEURON_BASE) -f jsonl --input-format jsonl
$(AD)/bank: $(AD)/hyper-6.log | $(ISOGLOSS)
	@$(ISOGLOSS) gen-adapters -m $(NEURON_BASE) $(AD)/hyper-6 -o $@ --force > $(AD)/bank.jsonl
$(AD)/exported.txt: $(AD)/bank $(DATA)/main/test.jsonl merged-lines.sh | $(ISOGLOSS)
	@awk 'NR % 12 == 1' $(DATA)/main/test.jsonl | head -n 1000 > $(AD)/exported.test
	@$(exported_both) --adapters $(AD)/hyper-6 --score-given --token-scores $(AD)/exported.test > $(AD)/on-the-fly.given
	@$(exported_both) --adapters $(AD)/bank --score-given --token-scores $(AD)/exported.test > $(AD)/exported.given
	@$(exported_both) --adapters $(AD)/hyper-6 $(AD)/exported.test > $(AD)/on-the-fly.hyp
	@$(exported_both) --adapters $(AD)/bank $(AD)/exported.test > $(AD)/exported.hyp
	@./merged-lines.sh $(AD)/on-the-fly $(AD)/exported > $@.part
	@mv $@.part $@

# Together with a model from scratch, as the paper trains them.
AS := $(AD)/scratch
SCRATCH_STEPS ?= 400
SCRATCH_LR ?= 1e-3
SCRATCH_RUNS := dense stored hyper-1 raw-1
scratch_flags_dense :=
scratch_flags_stored := --method adapters --train-base all
scratch_flags_hyper-1 := --method hyper-adapters --match-params 1/1 --train-base all
scratch_flags_raw-1 := $(scratch_flags_hyper-1) --no-rescale
SCRATCH_TRAIN_FLAGS ?= --batch-tokens 1024 --grad-accum 4 --temperature 2 --warmup-steps 100 \
	--valid-every 25 --save-every 150 --log-every 25
$(SCRATCH_RUNS:%=$(AS)/%.log): $(AS)/%.log: $(BASE)/model/config.json $(AD)/dev.jsonl | $(ISOGLOSS)
	@mkdir -p $(AS); $(STEP) $(AS)/times.tsv train-$* $(ISOGLOSS) train -m $(BASE)/model \
		--train $(DATA)/main/train.jsonl --valid $(AD)/dev.jsonl --max-steps $(SCRATCH_STEPS) \
		--seed $(ADAPTER_SEED) --lr $(SCRATCH_LR) $(SCRATCH_TRAIN_FLAGS) $(scratch_flags_$*) \
		-o $(AS)/$* > $@.part
	@mv $@.part $@
$(SCRATCH_RUNS:%=$(AS)/%.given): $(AS)/%.given: $(AS)/%.log $(AD)/test.jsonl | $(ISOGLOSS)
	@$(adapter_given) -m $(AS)/$* > $@.part
	@mv $@.part $@
$(AS)/table.txt: $(SCRATCH_RUNS:%=$(AS)/%.given) given-loss.sh | $(ISOGLOSS)
	@./given-loss.sh $(SCRATCH_RUNS:%=$(AS)/%.given) > $@.part
	@$(ISOGLOSS) inspect $(SCRATCH_RUNS:%=$(AS)/%) --curves $(AS)/curves --force >> $@.part
	@mv $@.part $@

# Languages the model never saw. Their marks are copies of a relative's, and so are the vectors they
# begin from; stored adapters begin as identities, with those of English from the stored run.
FEW := $(AD)/few
FEW_MARKS := nl=de sv=de bg=ru gl=es
FEW_MIXTURES := "nl=0.7*de+0.3*en" "sv=0.7*de+0.3*en" "bg=0.7*ru+0.3*uk" "gl=mean(es,fr)"
FEW_LANGS := nl sv bg gl
FEW_STEPS ?= 60
FEW_ROW_LR ?= 2e-2
FEW_TRAIN_FLAGS ?= --batch-tokens 1024 --grad-accum 4 --temperature 2 --warmup-steps 20 \
	--valid-every 20 --save-every 60 --log-every 20
HAS_WIDE := $(if $(wildcard $(DATA)/wide/train.jsonl),$(HAS_MAIN))
.PHONY: adapters-few
ifdef HAS_WIDE
adapters-few: $(FEW)/table.txt
	@cat $<
else
adapters-few:
	$(call skipped,wide)
endif
few_lines = grep -E '"tgt_lang":"($(subst $(space),|,$(FEW_LANGS)))"' $(DATA)/wide/$(1).jsonl
space := $(subst ,, )
$(FEW)/model: $(NEURON_NEEDS) | $(ISOGLOSS)
	@mkdir -p $(FEW); $(ISOGLOSS) init --from $(NEURON_BASE) $(FEW_MARKS:%=--new-language %) -o $@ --force
$(FEW)/all.jsonl: $(DATA)/wide/train.jsonl
	@mkdir -p $(FEW); $(call few_lines,train) > $@.part; mv $@.part $@
$(FEW)/100.jsonl: $(FEW)/all.jsonl
	@$(call first_of,$<,100) > $@.part; mv $@.part $@
$(FEW)/dev.jsonl: $(DATA)/wide/dev.jsonl
	@mkdir -p $(FEW); $(call few_lines,dev) > $@.part; mv $@.part $@
$(FEW)/test.jsonl: $(DATA)/wide/test.jsonl
	@mkdir -p $(FEW); $(call few_lines,test) > $@.part; mv $@.part $@
# What is there before the new languages: a hyper-network and stored adapters of the others.
$(FEW)/hyper.log $(FEW)/stored.log: $(FEW)/%.log: $(FEW)/model $(AD)/dev.jsonl | $(ISOGLOSS)
	@$(STEP) $(FEW)/times.tsv train-$* $(adapter_train) -m $(FEW)/model \
		$(adapter_flags_$(if $(filter hyper,$*),hyper-6,stored)) -o $(FEW)/$* > $@.part
	@mv $@.part $@
few_train = $(ISOGLOSS) train -m $(FEW)/model --train $(FEW)/$(1).jsonl --valid $(FEW)/dev.jsonl \
	--max-steps $(FEW_STEPS) --seed $(ADAPTER_SEED) $(FEW_TRAIN_FLAGS)
$(FEW)/row-%.log: $(FEW)/hyper.log $(FEW)/%.jsonl $(FEW)/dev.jsonl | $(ISOGLOSS)
	@$(STEP) $(FEW)/times.tsv train-row-$* $(call few_train,$*) --method hyper-adapters \
		--init-from $(FEW)/hyper $(foreach m,$(FEW_MIXTURES),--new-language $(m)) --lr $(FEW_ROW_LR) \
		-o $(FEW)/row-$* > $@.part
	@mv $@.part $@
$(FEW)/stored-%.log: $(FEW)/stored.log $(FEW)/%.jsonl $(FEW)/dev.jsonl | $(ISOGLOSS)
	@$(STEP) $(FEW)/times.tsv train-stored-$* $(call few_train,$*) --method adapters \
		--init-from $(FEW)/stored --lr $(ADAPTER_LR) -o $(FEW)/stored-$* > $@.part
	@mv $@.part $@
few_translate = $(TRANSLATE_TEST) -m $(FEW)/model $(1) $(FEW)/test.jsonl
$(FEW)/none.hyp.jsonl: $(FEW)/model $(FEW)/test.jsonl | $(ISOGLOSS)
	@$(call few_translate) > $@.part; mv $@.part $@
$(FEW)/mixed-0.hyp.jsonl: $(FEW)/hyper.log $(FEW)/test.jsonl | $(ISOGLOSS)
	@$(call few_translate,--adapters $(FEW)/hyper $(foreach m,$(FEW_MIXTURES),--as $(m))) > $@.part
	@mv $@.part $@
$(FEW)/row-%.hyp.jsonl $(FEW)/stored-%.hyp.jsonl: FEW_NAME = $(@F:%.hyp.jsonl=%)
$(FEW)/row-%.hyp.jsonl: $(FEW)/row-%.log $(FEW)/test.jsonl | $(ISOGLOSS)
	@$(call few_translate,--adapters $(FEW)/row-$*) > $@.part; mv $@.part $@
$(FEW)/stored-%.hyp.jsonl: $(FEW)/stored-%.log $(FEW)/test.jsonl | $(ISOGLOSS)
	@$(call few_translate,--adapters $(FEW)/stored-$*) > $@.part; mv $@.part $@
FEW_SYSTEMS := none mixed-0 row-100 row-all stored-100 stored-all
$(FEW)/table.txt: $(FEW_SYSTEMS:%=$(FEW)/%.hyp.jsonl) | $(ISOGLOSS)
	@for m in "bleu --tokenize zh" "chrf++"; do \
		$(ISOGLOSS) score --metric $$m --by direction --test paired_bs $(FEW)/none.hyp.jsonl \
			$(patsubst %,$(FEW)/%.hyp.jsonl,$(filter-out none,$(FEW_SYSTEMS))) || exit 1; \
		for shots in 100 all; do \
			$(ISOGLOSS) score --metric $$m --test paired_bs $(FEW)/stored-$$shots.hyp.jsonl \
				$(FEW)/row-$$shots.hyp.jsonl || exit 1; \
		done; \
	done > $@.part
	@mv $@.part $@

# Hyper-X: tags in most languages, text to denoise in all. The languages whose tags are held back get
# adapters for tagging from a vector that denoising alone has trained.
X := $(AD)/hyper-x
X_STEPS ?= 200
X_LR ?= 1e-3
X_HELD ?= fi id
X_LANGS := ar de en es fr hi ja ru tr vi zh
X_TRAIN_FLAGS ?= --batch-tokens 1024 --grad-accum 4 --temperature 5 --warmup-steps 50 \
	--valid-every 100 --save-every 200 --log-every 25
comma := ,
X_TAGS := --tag $(DATA)/pos/train.jsonl --valid-tag $(DATA)/pos/dev.jsonl \
	--tag-languages $(subst $(space),$(comma),$(X_LANGS))
X_TEXT := --denoise $(DATA)/main/train.jsonl
X_SHARED := --method adapters --adapter-index shared --adapter-position feed-forward --adapter-norm none \
	--adapter-init small --train-base layer-norms
X_RUNS := x-text x-tags shared-text shared-tags
x_flags_x-text := --method hyper-x --hyper-size base $(X_TEXT)
x_flags_x-tags := --method hyper-x --hyper-size base
x_flags_shared-text := $(X_SHARED) $(X_TEXT)
x_flags_shared-tags := $(X_SHARED)
HAS_POS := $(if $(wildcard $(DATA)/pos/train.jsonl),$(HAS_MAIN))
.PHONY: hyper-x
ifdef HAS_POS
hyper-x: $(X)/table.txt
	@cat $<
else
hyper-x:
	$(call skipped,pos)
endif
$(X_RUNS:%=$(X)/%.log): $(X)/%.log: $(NEURON_NEEDS) | $(ISOGLOSS)
	@mkdir -p $(X); $(STEP) $(X)/times.tsv train-$* $(ISOGLOSS) train -m $(NEURON_BASE) $(X_TAGS) \
		--max-steps $(X_STEPS) --seed $(ADAPTER_SEED) --lr $(X_LR) $(X_TRAIN_FLAGS) $(x_flags_$*) \
		-o $(X)/$* > $@.part
	@mv $@.part $@
# Vectors of the held languages: their own, the mean of those whose tags were seen, or a relative's.
x_mean := mean($(subst $(space),$(comma),$(X_LANGS)))
x_tag = $(ISOGLOSS) tag -m $(1) --score-only -f jsonl $(2) $(DATA)/pos/test.jsonl
$(X)/table.txt: $(X_RUNS:%=$(X)/%.log) | $(ISOGLOSS)
	@{ for run in x-text shared-text shared-tags; do echo "# $$run"; $(call x_tag,$(X)/$$run) || exit 1; done; \
		echo "# x-text, held languages with the mean vector"; \
		$(call x_tag,$(X)/x-text,$(X_HELD:%=--swap "%=$(x_mean)")); \
		echo "# x-tags, held languages with the mean vector"; \
		$(call x_tag,$(X)/x-tags,$(X_HELD:%=--as "%=$(x_mean)")); \
	} > $@.part
	@mv $@.part $@
