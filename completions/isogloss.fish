# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_isogloss_global_optspecs
    string join \n q/quiet v/verbose progress= progress-interval= color= seed= threads= device= dtype= deterministic json config= dry-run dump-config force warnings-as-errors h/help V/version
end

function __fish_isogloss_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_isogloss_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_isogloss_using_subcommand
    set -l cmd (__fish_isogloss_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c isogloss -n "__fish_isogloss_needs_command" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_needs_command" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_needs_command" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_needs_command" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_needs_command" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_needs_command" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_needs_command" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_needs_command" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_needs_command" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_needs_command" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_needs_command" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_needs_command" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_needs_command" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_needs_command" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_needs_command" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_needs_command" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_needs_command" -s V -l version -d 'Print version'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "init" -d 'New model directory: tokenizer trained on the text, random weights'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "profile-neurons" -d 'Count how often each feed-forward neuron fires'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "build-masks" -d 'Choose each direction\'s neurons and measure their overlap'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "train" -d 'Train or fine-tune a model'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "prune-lora" -d 'Make a trained LoRA smaller, and see what each language needs'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "gen-adapters" -d 'Plain adapters from a hyper-network'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "translate" -d 'Translate text or records, in order'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "tag" -d 'Tag words, such as with their parts of speech'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "score" -d 'BLEU, chrF, TER by direction and group, significance, regression gate'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "export" -d 'Write a model in another number format, or one direction\'s model, as a model directory'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "tokenize" -d 'Show the tokens that a model reads for a text'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "inspect" -d 'Say what any file or directory is: model, run, tensors, tokenizer, text, scores'
complete -c isogloss -n "__fish_isogloss_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -s o -l output -d 'Model directory to write' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l input-format -d 'Format of the inputs; by default from the file name, else from the first line' -r -f -a "jsonl\t'One JSON object per line'
tsv\t'Tab-separated with a header line naming the fields'
text\t'One source sentence per line; languages by flags'"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l src-lang -d 'Language of the source side where records do not say' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l tgt-lang -d 'Language of the target side where records do not say' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l src -d 'Source side of a line-aligned pair of files; needs `--tgt` and both languages' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l tgt -d 'Target side of a line-aligned pair of files' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l languages -d 'Further languages to give a mark to, beside those of the text' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l vocab-size -d 'Vocabulary entries, special tokens and language marks included [default: 8000]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l tokenizer-model -d 'How pieces are learnt' -r -f -a "bpe\t'Byte-pair merges'
unigram\t'Unigram language model; minutes of training for each megabyte of text'"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l character-coverage -d 'Share of the text\'s characters that get a piece of their own; the others become `<unk>`' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l tokenizer-temperature -d 'Languages are weighted by (sentences)^(1/T): 1 keeps their shares, more evens them out' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l tokenizer-sentences -d 'Sentences of each language to learn from; more are sampled down to this' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l tokenizer -d 'Use this tokenizer.json (or the one in this directory) instead of training one' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l preset -d 'Shape to start from [default: small]' -r -f -a "tiny\t'd_model 64, 2+2 layers, 2 heads, ffn 256: tests and demonstrations'
small\t'd_model 256, 3+3 layers, 4 heads, ffn 1024: a first model on a CPU'
iwslt\t'd_model 512, 6+6 layers, 4 heads, ffn 1024, dropout 0.3: fairseq\'s IWSLT shape'
deep\t'd_model 512, 12+1 layers, 8 heads, ffn 2048: deep encoder, shallow decoder, fast to decode'
base\t'd_model 512, 6+6 layers, 8 heads, ffn 2048: Transformer-base (Vaswani et al. 2017)'
big\t'd_model 1024, 6+6 layers, 16 heads, ffn 4096, dropout 0.3: Transformer-big'"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l model-config -d 'Take the shape from this config.json' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l d-model -d 'Width of the model' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l encoder-layers -d 'Layers of the encoder' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l decoder-layers -d 'Layers of the decoder' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l heads -d 'Attention heads in every layer' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l ffn-dim -d 'Neurons of every feed-forward block' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l encoder-ffn-dim -d 'Neurons of the encoder\'s feed-forward blocks' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l decoder-ffn-dim -d 'Neurons of the decoder\'s feed-forward blocks' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l max-positions -d 'Longest sequence in pieces, marks included' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l dropout -d 'Dropout of embeddings and sub-layers while training' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l attention-dropout -d 'Dropout of attention weights' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l activation-dropout -d 'Dropout inside feed-forward blocks' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l init-method -d 'How weights are drawn; `--init-std` alone means normal [default: xavier]' -r -f -a "xavier\t'Linear weights uniform by fan-in and fan-out (Glorot and Bengio 2010), embeddings normal with deviation 1/sqrt(d_model), as fairseq does'
normal\t'All weights normal with deviation `--init-std`, as transformers does'"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l init-std -d 'Standard deviation of normal weights [default: 0.02]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l from -d 'Copy this model, or the best checkpoint of this run, and add `--new-language` to it' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l new-language -d 'A language to add, whose mark begins as a copy of that of OLD (`nl=de`), else as the mean of all; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l byte-fallback -d 'Spell characters without a piece in bytes (256 entries) instead of `<unk>`'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -s m -l model -d 'Model directory, or a run (its best checkpoint)' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -s o -l output -d 'Where the statistics go, such as stats.safetensors' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l input-format -d 'Format of the text; else by extension and content' -r -f -a "jsonl\t'One JSON object per line'
tsv\t'Tab-separated with a header line naming the fields'
text\t'One source sentence per line; languages by flags'"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l src-lang -d 'Source language of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l tgt-lang -d 'Target language of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l direction -d 'Only these directions, such as `en-de`; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l max-len -d 'Longest side in tokens, marks included; default the model\'s limit' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l on-long -d 'What to do with longer pairs' -r -f -a "skip\t'Leave the pair out and count it'
cut\t'Keep the beginning'
error\t'Stop'"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l mark-convention -d 'Where language marks stand [default: what the tokenizer_config.json of the adapters or the model says, else the mark of its own language first]' -r -f -a "m2m100\t'Source and target begin with the mark of their own language'
nllb\t'As m2m100, with marks such as `deu_Latn`'
nllb-legacy\t'The source\'s mark stands behind its end mark'
small100\t'The source begins with the target\'s mark, the target has none'"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l unit -d 'What is counted' -r -f -a "token\t'Each token position counts'
sentence\t'Each sentence counts once, whatever the number of its tokens'"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l threshold -d 'A value above this is active' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l batch-tokens -d 'Tokens of a batch, padding included' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -s f -l format -d 'Shape of standard output [default: text on a terminal, else jsonl]' -r -f -a "text\t'A table of layers, over all directions'
jsonl\t'One `layer_profile` record a direction and layer'"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l both-directions -d 'Use every pair in both directions (the default)'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l no-both-directions -d 'Use pairs only in the direction they are written'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l reverse -d 'Swap source and target of every pair (with `--no-both-directions`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l nllb-legacy-source -d 'Sources end with `</s>` and their mark, as NLLB\'s tokenizer in transformers had them at first (the same as `--mark-convention nllb-legacy`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l exclude-marks -d 'Leave out the positions of language marks'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l include-padding -d 'Count padding positions too, as the method\'s first implementation does; the counts then depend on batches'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l sums -d 'Also sum the values, for means and for `build-masks --rule activation`'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l per-neuron -d 'One `neuron_profile` record for each neuron as well'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand profile-neurons" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -s o -l output -d 'Where the masks go, such as masks.safetensors' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l rule -d 'How neurons are chosen' -r -f -a "cumulative\t'The fewest neurons, most active first, that account for k per cent of the activations'
random\t'The same number of neurons, drawn by chance'
magnitude\t'The same number of neurons, those with the largest rows of `fc1.weight` (needs `--model`)'
complement\t'All neurons but those of `cumulative`'
activation\t'As `cumulative`, by the sums of the values (needs `profile-neurons --sums`)'
top-n\t'The N most active neurons of each layer (needs `--top`)'"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l k -d 'Share of the activations to account for, in per cent' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l k-encoder -d 'The same for the encoder [default: --k]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l k-decoder -d 'The same for the decoder [default: --k]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l k-for -d 'The same for some directions, such as `en-*=90` or `*-en:decoder=85`; may be repeated, the last that fits counts' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l top -d 'Neurons of each layer, for `--rule top-n`' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -s m -l model -d 'The model, for `--rule magnitude`; the statistics must be of it' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l direction -d 'Only these directions, such as `en-de` or `en-*`; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l group-by -d 'One mask for several directions: direction, source, target, or a column of `--groups`' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l groups -d 'Labels of languages or directions, such as family: TSV or JSON as for `score`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l combine -d 'How the members of a group become one' -r -f -a "union\t'Neurons that any member keeps'
intersection\t'Neurons that all members keep'
counts\t'Counts are added before neurons are chosen'"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l merge -d 'A mask for a direction without statistics: `de-fr=de-en+en-fr` takes the encoder of the first and the decoder of the second; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l figure -d 'Write heat maps of each layer and the curve over layers as SVG into this directory' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l compare -d 'Which directions are compared' -r -f -a "varying\t'Encoders of directions into one language, decoders of directions from one language'
all\t'All with all'"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l related-by -d 'Column of `--groups` that tells related languages from others [default: family, if there is one]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -s f -l format -d 'Shape of standard output [default: text on a terminal, else jsonl]' -r -f -a "text\t'A table of layers, over all groups'
jsonl\t'One `layer_mask` record a group and layer'"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l overlap -d 'Also a `mask_overlap` record for each pair, and `layer_overlap` for each layer'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand build-masks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -s m -l model -d 'Model directory, or a run (its best checkpoint)' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l train -d 'Parallel text to train on; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid -d 'Parallel text to validate on; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -s o -l output -d 'Run directory to fill' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l method -d 'What is trained' -r -f -a "full\t'All parameters of the model'
lora\t'Updates of low rank by language, beside the frozen model'
adapters\t'Bottleneck adapters by language, beside the model'
hyper-adapters\t'A hyper-network that generates adapters from source, target and layer'
hyper-x\t'A hyper-network that generates adapters from task, language and layer'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l init-from -d 'Take the weights from this model or run instead of MODEL\'s; with another method, what it trains from this run' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l input-format -d 'Format of the text; else by extension and content' -r -f -a "jsonl\t'One JSON object per line'
tsv\t'Tab-separated with a header line naming the fields'
text\t'One source sentence per line; languages by flags'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l src-lang -d 'Source language of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l tgt-lang -d 'Target language of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l direction -d 'Only these directions, such as `en-de`; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l max-len -d 'Longest side in tokens, marks included; default the model\'s limit' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l on-long -d 'What to do with longer pairs' -r -f -a "skip\t'Leave the pair out and count it'
cut\t'Keep the beginning'
error\t'Stop'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l mark-convention -d 'Where language marks stand [default: what the tokenizer_config.json of the adapters or the model says, else the mark of its own language first]' -r -f -a "m2m100\t'Source and target begin with the mark of their own language'
nllb\t'As m2m100, with marks such as `deu_Latn`'
nllb-legacy\t'The source\'s mark stands behind its end mark'
small100\t'The source begins with the target\'s mark, the target has none'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l masks -d 'Neuron masks from `build-masks`: each direction uses its own neurons' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l unknown-direction -d 'What to do for a direction without a mask [default: error, or what the model was trained with]' -r -f -a "error\t'Stop'
dense\t'Use all neurons'
merged\t'Use the encoder\'s mask of a direction from the same source language and the decoder\'s of one into the same target language'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-rank -d 'Ranks: one number; `high=2,low=8,de=4,*=2` by language or label of `--lora-groups`; or `2;2;8` for the labels high, medium and low, as in `2;2;8;en=2` [default: 8]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-module-rank -d 'Rank of one module for all languages, such as `fc1=4`; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-alpha -d 'The update is alpha / rank * B A [default: alpha is the rank, a scaling of 1]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-init -d 'How A begins; B is zero [default: lslo]' -r -f -a "lslo\t'Uniform within 1/sqrt(rank), as the published LSLo (Cao et al. 2024)'
standard\t'Uniform within 1/sqrt(width of the input), as PEFT'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-dropout -d 'Dropout of the updates\' input [default: 0]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-index -d 'Whose pair a layer uses, encoder/decoder: source, target, direction or shared; by layer as `source*9,target*3/target`; `shared` alone is a plain LoRA [default: source/target]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-modules -d 'Modules with updates: names such as q_proj, self_attn.q_proj, fc1, or all [default: q_proj,k_proj,v_proj,fc1,fc2]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-slice -d 'Updates read and write these coordinates only: `0..1024`, or `d_model` for the first d_model of them, as published [default: all]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-placement -d 'Take the placement of a run of `--learn-placement` (where the larger weight decides), of a LoRA, or of a placement.json' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-groups -d 'Labels of languages for `--lora-rank` and `--lora-share`: TSV with a header line and the languages in its first column, or JSON' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-rank-by -d 'Column of those labels that `--lora-rank` means [default: tier]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lora-share -d 'Languages with the same label in this column share their pairs, of the highest of their ranks' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l learn-placement -d 'Learn whether source or target should index each layer (or matrix), with the pairs of both; a reconstruction, for the published rule was not released' -r -f -a "layer\t'A layer with all its matrices'
matrix\t'Each matrix by itself'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune -d 'Prune this share in the end, such as 90%' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune-start -d 'First period of the schedule, which prunes nothing yet [default: 2]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune-duration -d 'Periods from there to the full share [default: 10]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune-every -d 'Updates of a period [default: a 15th of --max-steps]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune-pool -d 'What competes [default: language]' -r -f -a "language\t'All matrices of an adapter, over all layers: every language ends at the same share'
layer\t'All adapters in a layer: languages compete, to see how much each needs'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune-what -d 'Matrices that are pruned [default: b]' -r -f -a "b\t'B only, as published'
ab\t'A and B, each within its own pool'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l prune-unit -d 'What is pruned at once [default: entry]' -r -f -a "entry\t'Single entries, by magnitude, as published'
rank\t'Whole ranks, by the norm of their outer product: a column of B (and with `ab` a row of A)'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-bottleneck -d 'Width of the adapters [default: 64]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-position -d 'Where in a layer adapters stand; several by commas [default: layer; Hyper-X feed-forward]' -r -f -a "attention\t'On the output of self-attention, before its residual connection'
cross-attention\t'On the output of cross-attention, before its residual connection (decoder)'
feed-forward\t'On the output of the feed-forward block, before its residual connection'
layer\t'On the output of the whole layer'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-norm -d 'What an adapter normalises [default: before; Hyper-X none]' -r -f -a "none\t'Nowhere'
before\t'Its input (Bapna and Firat 2019)'
after\t'What it adds to its input'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-affine -d 'Scale and shift of that norm [default: learned; hyper-adapters none; Hyper-X generated]' -r -f -a "none\t'None: scale 1 and shift 0'
learned\t'Trained: an adapter\'s own, or one pair for all that a hyper-network generates'
generated\t'From the hyper-network'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-index -d 'Whose stored adapter a layer uses, encoder/decoder: source, target, direction or shared [default: source/target]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-groups -d 'Labels of languages for `--adapter-share`: TSV with a header line and the languages in its first column, or JSON' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-share -d 'Languages with the same label in this column share their stored adapters' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l adapter-init -d 'How stored adapters begin [default: identity]' -r -f -a "identity\t'Xavier down, zero up: the model begins as its base'
xavier\t'Xavier both ways, as in the hyper-adapters\' baseline (Baziotis et al. 2022)'
small\t'Normal with deviation 0.01 both ways, as in Hyper-X (Üstün et al. 2022)'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l train-base -d 'Parameters of the model that are trained with the adapters, as of `--freeze`, or none; may be repeated [default: none; Hyper-X layer-norms]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-hidden -d 'Hidden units that the heads read [default: 64; Hyper-X 32]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-size -d 'The same by name' -r -f -a "small\t'102 hidden units; 32 of Hyper-X'
base\t'204 hidden units; 192 of Hyper-X'
large\t'612 hidden units; Hyper-X has none'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l match-params -d 'As many hidden units as parameters allow: a number, or a share such as 1/6 or 50% of what stored adapters of these languages would take' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-blocks -d 'Residual blocks of hyper-adapters [default: 2]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-projection -d 'Width between the maps of Hyper-X\'s projector [default: 192]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l embedding-dim -d 'Width of the vectors of languages and tasks [default: 50; Hyper-X 64]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l layer-embedding-dim -d 'Width of the vectors of layers [default: the same]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-inputs -d 'Inputs that are not switched off, encoder/decoder, such as source,layer/target,layer [default: all]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-dropout -d 'Dropout inside the hyper-network [default: 0]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-init -d 'How a hyper-network begins [default: xavier; Hyper-X small]' -r -f -a "xavier\t'Xavier for every map (hyper-adapters\' default)'
match\t'Xavier, then the heads of weights scaled so that what they give has the deviation of a Xavier adapter, rescaling included; small other heads'
small\t'Normal with deviation 0.01 (Hyper-X)'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l new-language -d 'Learn vectors of new languages in the hyper-network of `--init-from`, all else frozen; each begins as another or a mixture: nl=de, pt=0.7*es+0.3*fr; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l denoise -d 'Text to restore from damaged copies: records with `lang` and `text`, or parallel text, of which both sides are used; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l denoise-lang -d 'Language of denoising text that names none, such as plain lines' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l tag -d 'Tagged text: records with `lang`, `tokens` and `tags`; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-denoise -d 'Text to denoise for validation; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-tag -d 'Tagged text to validate on; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l denoise-languages -d 'Only these languages of denoising text, by commas' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l tag-languages -d 'Only these languages of tagged text to train on, by commas' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l noise-mask -d 'Pieces hidden from denoising [default: 15%]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l noise-drop -d 'Pieces left out [default: 10%]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l noise-shuffle -d 'Pieces move by less than this many places [default: 3]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l max-steps -d 'Updates to make in all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l max-epochs -d 'Passes over the data to make in all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l max-minutes -d 'Minutes to train in all, earlier starts included' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l patience -d 'Stop after so many validations without improvement' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l batch-tokens -d 'Tokens of a batch (the longer side counts)' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l grad-accum -d 'Batches of one update; each holds one direction. Of several ranks, each has as many' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l ranks -d 'Ranks that share an update, each with batches of its own: one process runs them in turn, and `mpirun -np N`, `srun -n N` or `torchrun --nproc-per-node N --no-python` have one process for each, on GPUs with one each (`--device cuda`), with the same result to the bit [default: as many as processes were started]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l temperature -d 'Directions are drawn in proportion to pairs^(1/T)' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lr -d 'Highest learning rate' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l min-lr -d 'Lowest learning rate after warm-up' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l lr-schedule -d 'How the learning rate changes' -r -f -a "inverse-sqrt\t'Warm-up, then `lr * sqrt(warmup / step)` (Vaswani et al. 2017, section 5.3)'
linear\t'Warm-up, then a straight line to `--min-lr` at `--max-steps`'
cosine\t'Warm-up, then half a cosine to `--min-lr` at `--max-steps` (Loshchilov and Hutter 2017)'
constant\t'Warm-up, then `--lr`'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l warmup-steps -d 'Updates over which the learning rate rises' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l optimizer -d 'Rule of the updates' -r -f -a "adam\t'Weight decay goes through the gradient (Kingma and Ba 2015)'
adamw\t'Weight decay acts on the weights (Loshchilov and Hutter 2019)'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l beta1 -d 'Decay of the mean of the gradients' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l beta2 -d 'Decay of the mean of their squares' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l eps -d 'Added to the root of the mean square' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l weight-decay -d 'Share of each weight taken off in an update, times the learning rate' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l clip-norm -d 'Largest norm of all gradients together; 0 for no clipping' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l label-smoothing -d 'Probability spread evenly over the vocabulary in the target of the loss' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l dropout -d 'Replaces the configuration\'s dropout' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l attention-dropout -d 'Replaces the configuration\'s dropout of attention weights' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l activation-dropout -d 'Replaces the configuration\'s dropout inside feed-forward blocks' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l freeze -d 'Parameters to leave as they are: all, embeddings, encoder, decoder, attention, feed-forward, layer-norms, biases, or a pattern; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l train-only -d 'Train these parameters only; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-every -d 'Updates between validations' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-metric -d 'Also translate the held-out text and score it: bleu, chrf, chrf++ or ter; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-tokenize -d 'Tokenizer of that BLEU: 13a, intl, zh, char or none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-beam-size -d 'Beam of those translations; 1 is greedy search' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l valid-sentences -d 'Translate at most N pairs of each direction, the first ones [default: all]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l best-metric -d 'What decides which checkpoint is best: nll, or a metric of `--valid-metric`' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l save-every -d 'Updates between checkpoints' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l keep-last -d 'Checkpoints kept beside the best' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l keep-best -d 'Best checkpoints kept' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l average -d 'At the end, average the last N checkpoints into `checkpoints/average`' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l log-every -d 'Updates between log records' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -s f -l format -d 'Shape of standard output' -r -f -a "text\t'One readable line per event'
jsonl\t'The records of `log.jsonl`'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l dump-batches -d 'Write the token ids of every batch to a file, for comparison with other programs' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l both-directions -d 'Use every pair in both directions (the default)'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l no-both-directions -d 'Use pairs only in the direction they are written'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l reverse -d 'Swap source and target of every pair (with `--no-both-directions`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l nllb-legacy-source -d 'Sources end with `</s>` and their mark, as NLLB\'s tokenizer in transformers had them at first (the same as `--mark-convention nllb-legacy`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l foreign-masks -d 'Take masks that were built from the statistics of another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l tie-languages -d 'One table of vectors for source and target languages'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l shared-layer-ids -d 'Encoder and decoder layers of the same number share a vector, as in the published code'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-input-norm -d 'Norm of the conditioning vector'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l hyper-output-norm -d 'Norm of what the heads read'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l no-rescale -d 'Do not divide what hyper-adapters make by the root of the hidden units'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l gradient-checkpointing -d 'Keep the input of each layer alone and compute the layer again in the backward pass: much less memory, about a third more time, the same result to the bit'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l log-pairs -d 'Log the loss of each direction too'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l resume -d 'Continue an unfinished run (the default)'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l overwrite -d 'Move an existing run aside and start afresh'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand train" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -s m -l model -d 'The model it was trained on' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -s o -l output -d 'Directory to write' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l ratio -d 'Prune this share of each pool, such as 90%: the smallest go' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l pool -d 'What competes [default: language]' -r -f -a "language\t'All matrices of an adapter, over all layers: every language ends at the same share'
layer\t'All adapters in a layer: languages compete, to see how much each needs'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l what -d 'Matrices that are pruned [default: b]' -r -f -a "b\t'B only, as published'
ab\t'A and B, each within its own pool'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l unit -d 'What is pruned at once [default: entry]' -r -f -a "entry\t'Single entries, by magnitude, as published'
rank\t'Whole ranks, by the norm of their outer product: a column of B (and with `ab` a row of A)'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l budget -d 'Parameters that may be left: a share of the model\'s such as 0.4%, or a number such as 200k' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l balance -d 'How a budget is distributed [default: absolute]' -r -f -a "absolute\t'Energies of components as they are: the least error in all'
relative\t'As parts of their adapter\'s total: languages with small updates get their share'
uniform\t'The same rank for all as far as the budget goes; energies decide over what is left'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l rank -d 'Highest rank of any pair' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l method -d 'How a rank becomes smaller [default: svd]' -r -f -a "svd\t'The best approximation of B A there is (truncated singular value decomposition)'
components\t'The most important rows of A with their columns of B, unchanged'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l direction -d 'Make one plain LoRA of what this direction uses, such as en-de' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l figure -d 'Draw what is left of each adapter by layer and by module into this directory' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -s f -l format -d 'Shape of standard output [default: text on a terminal, else jsonl]' -r -f -a "text\t'A table of adapters'
jsonl\t'One `lora_module` record a pair, and a `lora_plan`'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l compact -d 'Remove ranks that do nothing, as gradual pruning leaves them; changes no translation'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l merge -d 'Write a model with that LoRA merged into its weights'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l allow-base-mismatch -d 'Take a LoRA that was trained on another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand prune-lora" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -s m -l model -d 'The model it was trained on, to check that they belong together' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -s o -l output -d 'Directory to write' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l languages -d 'Only these languages, by commas: as sources, as targets, and all their pairs' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l direction -d 'Only this direction, such as en-de; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l as -d 'A language the hyper-network has no vector of, mixed from others: pt=0.7*es+0.3*fr, pt=mean(es,fr); may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l task -d 'The task they are for; those of tagging are for the encoder alone' -r -f -a "translation\t'Text into another language'
denoising\t'A sentence from a damaged copy of itself'
tagging\t'A tag (such as the part of speech) for each word'"
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l layout -d 'How adapters lie in the directory' -r -f -a "bank\t'All in one file, `adapters.safetensors`'
adapterhub\t'A directory in AdapterHub\'s layout for each adapter'"
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l embeddings -d 'Write the language vectors, their projection and their similarities into this directory' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l groups -d 'Labels of languages for its figures: TSV with a header line and the languages in its first column, or JSON' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l by -d 'Column of those labels [default: the first]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -s f -l format -d 'Shape of standard output [default: text on a terminal, else jsonl]' -r -f -a "text\t'One line an adapter'
jsonl\t'One `adapter` record for each adapter at each site'"
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l allow-base-mismatch -d 'Take a hyper-network that was trained on another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand gen-adapters" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -s m -l model -d 'Model directory, or a run (its best checkpoint)' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l src-lang -d 'Source language of lines, and of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l tgt-lang -d 'Target language of lines, and of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l input-format -d 'Format of the input; else by extension and content' -r -f -a "jsonl\t'One JSON object per line'
tsv\t'Tab-separated with a header line naming the fields'
text\t'One source sentence per line; languages by flags'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l on-long -d 'What to do with a source that is longer than the model\'s positions' -r -f -a "cut\t'Keep the beginning; the record says `truncated`'
error\t'Stop'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l max-errors -d 'The same, for at most N broken lines' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l mark-convention -d 'Where language marks stand [default: what the tokenizer_config.json of the adapters or the model says, else the mark of its own language first]' -r -f -a "m2m100\t'Source and target begin with the mark of their own language'
nllb\t'As m2m100, with marks such as `deu_Latn`'
nllb-legacy\t'The source\'s mark stands behind its end mark'
small100\t'The source begins with the target\'s mark, the target has none'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l masks -d 'Neuron masks from `build-masks`: each direction uses its own neurons' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l unknown-direction -d 'What to do for a direction without a mask [default: error, or what the model was trained with]' -r -f -a "error\t'Stop'
dense\t'Use all neurons'
merged\t'Use the encoder\'s mask of a direction from the same source language and the decoder\'s of one into the same target language'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l lora -d 'A LoRA: a run of `train --method lora`, what `prune-lora` wrote, or a directory of PEFT' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l unknown-language -d 'What to do for a language or direction without a LoRA, or without adapters [default: error]' -r -f -a "error\t'Stop'
base\t'Use the base model where its adapter would stand'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l adapters -d 'Adapters: a run of `train --method adapters`, `hyper-adapters` or `hyper-x`, what `gen-adapters` wrote, or a directory of AdapterHub' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l as -d 'A language the hyper-network has no vector of, mixed from others: pt=0.7*es+0.3*fr, pt=mean(es,fr); may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l swap -d 'Use other languages\' vector for a language that has one, for analysis: de=nl, pt=0.5*es+0.5*fr; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l beam-size -d 'Hypotheses kept at each step; 1 is greedy search' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l length-penalty -d 'Scores are divided by length to this power [default: the model\'s, else 1.0]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l max-new-tokens -d 'Most tokens of a translation, language and end mark included [default: one and a half times the source and 50 more]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l min-new-tokens -d 'No end before this many tokens [default: the model\'s, else 0]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l early-stopping -d 'When beam search ends (transformers\' `early_stopping`) [default: the model\'s, else false]' -r -f -a "false\t'When no running hypothesis seems able to beat the finished ones'
true\t'As soon as there are enough finished hypotheses'
never\t'When no running hypothesis can beat the finished ones at any length'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l no-repeat-ngram-size -d 'No n-gram of this size twice in a translation; 0 allows all [default: the model\'s, else 0]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l suppress-token -d 'A token id that is never chosen; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l prefix -d 'Every translation begins with this text; its tokens count in the length, with a log probability of 0, as those of a forced mark do' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l prefix-field -d 'Each translation begins with the text of this field of its record, if it has one' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l n-best -d 'Hypotheses in each record' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l shortlist -d 'Choose from the target language\'s tokens only, as counted by `tokenize --vocabulary`: faster, as most of a large vocabulary belongs to other languages. Probabilities are among these tokens' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l shortlist-size -d 'Its most frequent tokens alone' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l batch-size -d 'Sentences decoded at once, by one worker or, where there are enough, in batches of their own by several; changes speed and memory, on the CPU never a translation' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l batch-tokens -d 'Tokens decoded at once: sources and longest possible translations' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l window -d 'Sentences between the oldest unfinished and the newest read' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -s f -l format -d 'Shape of standard output; default: text for text, records for records' -r -f -a "text\t'One hypothesis a line'
jsonl\t'One `translation` record a line'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l list-langs -d 'List the model\'s languages and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l reverse -d 'Translate each record\'s target side into its source language'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l both-directions -d 'Translate each record both ways: two records out for each one in'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l skip-bad -d 'Answer a broken line with an `error` record (an empty line in text) and go on; exit code 3'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l nllb-legacy-source -d 'Sources end with `</s>` and their mark, as NLLB\'s tokenizer in transformers had them at first (the same as `--mark-convention nllb-legacy`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l foreign-masks -d 'Take masks that were built from the statistics of another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l no-masks -d 'All neurons for all directions, also of a model that was trained with masks'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l merge-lora -d 'Add the updates to the weights of each direction: faster, and more memory for each'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l allow-base-mismatch -d 'Take a LoRA or adapters that were trained on another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l no-adapters -d 'Without the adapters that lie beside a model that was trained with them'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l token-scores -d 'Id and log probability of each token in each record'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l score-given -d 'Do not search: score each record\'s reference'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l header -d 'Begin with a `header` record'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l summary -d 'End with a `summary` record'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l line-buffered -d 'Write every line at once, also to a file or pipe'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand translate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -s m -l model -d 'Model directory, or a run (its best checkpoint)' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l lang -d 'Language of records that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l on-long -d 'What to do with a sentence that is longer than the model\'s positions' -r -f -a "cut\t'Keep the beginning; the record says `truncated`'
error\t'Stop'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l mark-convention -d 'Where language marks stand [default: what the tokenizer_config.json of the adapters or the model says, else the mark of its own language first]' -r -f -a "m2m100\t'Source and target begin with the mark of their own language'
nllb\t'As m2m100, with marks such as `deu_Latn`'
nllb-legacy\t'The source\'s mark stands behind its end mark'
small100\t'The source begins with the target\'s mark, the target has none'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l masks -d 'Neuron masks from `build-masks`: each direction uses its own neurons' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l unknown-direction -d 'What to do for a direction without a mask [default: error, or what the model was trained with]' -r -f -a "error\t'Stop'
dense\t'Use all neurons'
merged\t'Use the encoder\'s mask of a direction from the same source language and the decoder\'s of one into the same target language'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l lora -d 'A LoRA: a run of `train --method lora`, what `prune-lora` wrote, or a directory of PEFT' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l unknown-language -d 'What to do for a language or direction without a LoRA, or without adapters [default: error]' -r -f -a "error\t'Stop'
base\t'Use the base model where its adapter would stand'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l adapters -d 'Adapters: a run of `train --method adapters`, `hyper-adapters` or `hyper-x`, what `gen-adapters` wrote, or a directory of AdapterHub' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l as -d 'A language the hyper-network has no vector of, mixed from others: pt=0.7*es+0.3*fr, pt=mean(es,fr); may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l swap -d 'Use other languages\' vector for a language that has one, for analysis: de=nl, pt=0.5*es+0.5*fr; may be repeated' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l batch-size -d 'Sentences tagged at once; changes speed and memory, on the CPU never a tag' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l batch-tokens -d 'Tokens tagged at once' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l window -d 'Sentences read at once, from which batches are made' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -s f -l format -d 'Shape of the scores of `--score-only` [default: text on a terminal, else jsonl]' -r -f -a "text\t'A table'
jsonl\t'One `tag_score` record a line'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l nllb-legacy-source -d 'Sources end with `</s>` and their mark, as NLLB\'s tokenizer in transformers had them at first (the same as `--mark-convention nllb-legacy`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l foreign-masks -d 'Take masks that were built from the statistics of another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l no-masks -d 'All neurons for all languages, also of a model that was trained with masks'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l merge-lora -d 'Add the updates to the weights of each direction: faster, and more memory for each'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l allow-base-mismatch -d 'Take a LoRA or adapters that were trained on another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l no-adapters -d 'Without the adapters that lie beside a model that was trained with them'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l summary -d 'End with `tag_score` records of what has `tags`: one for each language, and one for all'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l score-only -d 'Nothing but the scores'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand tag" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l hyp -d 'Hypotheses, as INPUT' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l ref -d 'References beside the hypotheses\' own records; repeat for several' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l input-format -d 'Format of the hypotheses; by default from the file name, else from the first line' -r -f -a "jsonl\t'One JSON object per line'
tsv\t'Tab-separated with a header line naming the fields'
text\t'One text per line'
fairseq\t'What fairseq-generate prints: `H-7<TAB>score<TAB>text`, put into the order of its ids'"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l src-lang -d 'Source language of segments that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l tgt-lang -d 'Target language of segments that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l system -d 'Name of a system, in the order of the files; by default the file\'s name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s m -l metric -d 'bleu, chrf, chrf++ or ter; repeat for several [default: bleu]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l tokenize -d 'Tokenizer of BLEU: 13a, intl, zh, char, none, spm, flores101, flores200, spBLEU-1K' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l spm-model -d 'SentencePiece model of the tokenizers spm, flores101, flores200 and spBLEU-1K' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l smooth-method -d 'Smoothing of BLEU: exp, floor, add-k or none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l smooth-value -d 'Value of the smoothing floor [default: 0.1] or add-k [default: 1]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l chrf-char-order -d 'Characters in the longest n-gram of chrF' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l chrf-word-order -d 'Words in the longest word n-gram of chrF; 2 makes it chrF++' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l chrf-beta -d 'Weight of recall in chrF' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l by -d 'Rows by lang_pair (or direction), src_lang, tgt_lang, a field of the records, or a label [default: lang_pair]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l groups -d 'Labels of languages or directions, such as their tier or family: JSON or TSV' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l average -d 'How rows of several directions are averaged; by default macro for groups, both for all' -r -f -a "macro\t'Mean of the scores of the directions'
micro\t'Score of all segments together'
both\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l ci-level -d 'Share of the resamples inside an interval' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l samples -d 'Resamples of the bootstrap' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l test -d 'p-values against the baseline, or against the first of several systems' -r -f -a "paired_bs\t'Paired bootstrap'
paired_ar\t'Paired approximate randomization'"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l trials -d 'Trials of approximate randomization' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l resample-seed -d 'Seed of the resampling, or none [default: SACREBLEU_SEED, else 12345]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l baseline -d 'Compare with these hypotheses, `score` records or sacrebleu\'s JSON' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l baseline-system -d 'System to take from a baseline that holds the scores of several' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l max-drop -d 'Exit with code 1 when a row falls further below the baseline, for example bleu=0.5' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l max-p -d 'Let a fall pass unless its p-value is at most this; needs --test' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s f -l format -d 'Shape of standard output [default: text]' -r -f -a "text\t''
jsonl\t''
json\t''
tsv\t''
markdown\t''
latex\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s w -l width -d 'Digits behind the point [default: 1; records keep all]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l lowercase -d 'BLEU of lower-cased text'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l effective-order -d 'Let BLEU stop at the longest n-gram that the hypotheses hold'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l chrf-whitespace -d 'Count white space among the characters of chrF'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l chrf-lowercase -d 'chrF of lower-cased text'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l chrf-eps-smoothing -d 'Smooth chrF as chrF++.py, NLTK and Moses do'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l ter-normalized -d 'Split punctuation off before TER'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l ter-no-punct -d 'Remove punctuation before TER'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l ter-asian-support -d 'Treat ideographs and Asian punctuation in the two flags above'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l ter-case-sensitive -d 'TER without lower-casing'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l confidence -d 'Bootstrap intervals'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l short -d 'Abbreviate signatures'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s b -l score-only -d 'Print the scores alone, one on a line'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand score" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -s m -l model -d 'Model directory, or a run (its best checkpoint)' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l direction -d 'Only this direction, such as `en-de`, by its neuron mask' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -s o -l output -d 'Directory to write' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l masks -d 'Neuron masks from `build-masks`: each direction uses its own neurons' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l unknown-direction -d 'What to do for a direction without a mask [default: error, or what the model was trained with]' -r -f -a "error\t'Stop'
dense\t'Use all neurons'
merged\t'Use the encoder\'s mask of a direction from the same source language and the decoder\'s of one into the same target language'"
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -s f -l format -d 'Shape of standard output [default: text on a terminal, else jsonl]' -r -f -a "text\t'A few lines'
jsonl\t'One `export` record'"
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l foreign-masks -d 'Take masks that were built from the statistics of another model of the same shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -s m -l model -d 'Model directory, or a run (its best checkpoint)' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l lang -d 'Language of texts that name none' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l tgt-lang -d 'Target language of sources, where they are marked with it (SMaLL-100) [default: the text\'s own]' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l input-format -d 'Format of the input; else by extension and content' -r -f -a "jsonl\t'One JSON object per line'
tsv\t'Tab-separated with a header line naming the fields'
text\t'One source sentence per line; languages by flags'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l side -d 'On which side of the model the text stands' -r -f -a "source\t'As the encoder reads it, with its marks'
target\t'As the decoder is to write it, with its marks'
pieces\t'Without marks'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l mark-convention -d 'Where language marks stand [default: what the tokenizer_config.json of the adapters or the model says, else the mark of its own language first]' -r -f -a "m2m100\t'Source and target begin with the mark of their own language'
nllb\t'As m2m100, with marks such as `deu_Latn`'
nllb-legacy\t'The source\'s mark stands behind its end mark'
small100\t'The source begins with the target\'s mark, the target has none'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -s f -l format -d 'Shape of standard output [default: text on a terminal, else jsonl]' -r -f -a "text\t'The pieces of a text, separated by spaces'
jsonl\t'A record a text'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l nllb-legacy-source -d 'Sources end with `</s>` and their mark, as NLLB\'s tokenizer in transformers had them at first (the same as `--mark-convention nllb-legacy`)'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l vocabulary -d 'Count instead: one `vocabulary` record a language, with the tokens of its texts, the most frequent first; marks are not counted. For `translate --shortlist`'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand tokenize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -s f -l format -d 'Shape of the answer' -r -f -a "text\t'For people'
json\t'One indented object for each path'
jsonl\t'One object a line for each path'"
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l curves -d 'Draw the validation losses of training runs into this directory, one line for each run' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l progress -d 'Progress display' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l progress-interval -d 'Seconds between progress lines when standard error is not a terminal' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l color -d 'Colour on standard error' -r -f -a "auto\t''
always\t''
never\t''"
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l seed -d 'Every random stream is derived from this number, by name' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l threads -d 'Threads to use; 0 means all' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l device -d 'Where to compute: auto, cpu, cuda or cuda:N' -r
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l dtype -d 'Number format of the weights that `translate` computes with, `export` writes and `inspect` measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a GPU both factors of products are rounded to bf16. Other commands compute in f32' -r -f -a "f32\t'32 bits'
bf16\t'16 bits with the range of f32; computed in f32'
f16\t'16 bits; written by `export`, not computed with'
int8\t'8 bits, a scale for each row; computed in integers'"
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l config -d 'Settings from a TOML file: one table per command and `[global]`' -r -F
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l tensors -d 'List every tensor with type and shape'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l quick -d 'Read headers only: no checksums, no look at the values'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -s q -l quiet -d 'Say less; twice: errors only'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -s v -l verbose -d 'Say more; twice: debug'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l deterministic -d 'Refuse kernels and reductions whose result may vary from run to run: `translate` then computes on the CPU'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l json -d 'Records on standard output (`--format jsonl`) and errors as records on standard error'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l dry-run -d 'Check everything that can be checked, print what would be read and written, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l dump-config -d 'Print the effective settings with the origin of each, and exit'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l force -d 'Replace an existing output'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -l warnings-as-errors -d 'Fail at the end when there were warnings'
complete -c isogloss -n "__fish_isogloss_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "init" -d 'New model directory: tokenizer trained on the text, random weights'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "profile-neurons" -d 'Count how often each feed-forward neuron fires'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "build-masks" -d 'Choose each direction\'s neurons and measure their overlap'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "train" -d 'Train or fine-tune a model'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "prune-lora" -d 'Make a trained LoRA smaller, and see what each language needs'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "gen-adapters" -d 'Plain adapters from a hyper-network'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "translate" -d 'Translate text or records, in order'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "tag" -d 'Tag words, such as with their parts of speech'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "score" -d 'BLEU, chrF, TER by direction and group, significance, regression gate'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "export" -d 'Write a model in another number format, or one direction\'s model, as a model directory'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "tokenize" -d 'Show the tokens that a model reads for a text'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "inspect" -d 'Say what any file or directory is: model, run, tensors, tokenizer, text, scores'
complete -c isogloss -n "__fish_isogloss_using_subcommand help; and not __fish_seen_subcommand_from init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
