
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'isogloss' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'isogloss'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'isogloss' {
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress display')
            [CompletionResult]::new('--progress-interval', '--progress-interval', [CompletionResultType]::ParameterName, 'Seconds between progress lines when standard error is not a terminal')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on standard error')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Every random stream is derived from this number, by name')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; 0 means all')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda or cuda:N')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Number format of the computation; default: the checkpoint''s on accelerators, f32 on the CPU')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings from a TOML file: one table per command and `[global]`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--deterministic', '--deterministic', [CompletionResultType]::ParameterName, 'Refuse kernels and reductions whose result may vary from run to run')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Records on standard output (`--format jsonl`) and errors as records on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that can be checked, print what would be read and written, and exit')
            [CompletionResult]::new('--dump-config', '--dump-config', [CompletionResultType]::ParameterName, 'Print the effective settings with the origin of each, and exit')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace an existing output')
            [CompletionResult]::new('--warnings-as-errors', '--warnings-as-errors', [CompletionResultType]::ParameterName, 'Fail at the end when there were warnings')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'New model directory: tokenizer trained on the text, random weights')
            [CompletionResult]::new('train', 'train', [CompletionResultType]::ParameterValue, 'Train or fine-tune a model')
            [CompletionResult]::new('translate', 'translate', [CompletionResultType]::ParameterValue, 'A filter: text or records in, translations out, in order')
            [CompletionResult]::new('score', 'score', [CompletionResultType]::ParameterValue, 'BLEU, chrF, TER by direction and group, significance, regression gate')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Say what any file of ours (or a peer''s checkpoint) is')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'isogloss;init' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Model directory to write')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Model directory to write')
            [CompletionResult]::new('--input-format', '--input-format', [CompletionResultType]::ParameterName, 'Format of the inputs; by default from the file name, else from the first line')
            [CompletionResult]::new('--src-lang', '--src-lang', [CompletionResultType]::ParameterName, 'Language of the source side where records do not say')
            [CompletionResult]::new('--tgt-lang', '--tgt-lang', [CompletionResultType]::ParameterName, 'Language of the target side where records do not say')
            [CompletionResult]::new('--src', '--src', [CompletionResultType]::ParameterName, 'Source side of a line-aligned pair of files; needs `--tgt` and both languages')
            [CompletionResult]::new('--tgt', '--tgt', [CompletionResultType]::ParameterName, 'Target side of a line-aligned pair of files')
            [CompletionResult]::new('--languages', '--languages', [CompletionResultType]::ParameterName, 'Further languages to give a mark to, beside those of the text')
            [CompletionResult]::new('--vocab-size', '--vocab-size', [CompletionResultType]::ParameterName, 'Vocabulary entries, special tokens and language marks included [default: 8000]')
            [CompletionResult]::new('--tokenizer-model', '--tokenizer-model', [CompletionResultType]::ParameterName, 'How pieces are learnt')
            [CompletionResult]::new('--character-coverage', '--character-coverage', [CompletionResultType]::ParameterName, 'Share of the text''s characters that get a piece of their own; the others become `<unk>`')
            [CompletionResult]::new('--tokenizer-temperature', '--tokenizer-temperature', [CompletionResultType]::ParameterName, 'Languages are weighted by (sentences)^(1/T): 1 keeps their shares, more evens them out')
            [CompletionResult]::new('--tokenizer-sentences', '--tokenizer-sentences', [CompletionResultType]::ParameterName, 'Sentences of each language to learn from; more are sampled down to this')
            [CompletionResult]::new('--tokenizer', '--tokenizer', [CompletionResultType]::ParameterName, 'Use this tokenizer.json (or the one in this directory) instead of training one')
            [CompletionResult]::new('--preset', '--preset', [CompletionResultType]::ParameterName, 'Shape to start from [default: small]')
            [CompletionResult]::new('--model-config', '--model-config', [CompletionResultType]::ParameterName, 'Take the shape from this config.json')
            [CompletionResult]::new('--d-model', '--d-model', [CompletionResultType]::ParameterName, 'Width of the model')
            [CompletionResult]::new('--encoder-layers', '--encoder-layers', [CompletionResultType]::ParameterName, 'Layers of the encoder')
            [CompletionResult]::new('--decoder-layers', '--decoder-layers', [CompletionResultType]::ParameterName, 'Layers of the decoder')
            [CompletionResult]::new('--heads', '--heads', [CompletionResultType]::ParameterName, 'Attention heads in every layer')
            [CompletionResult]::new('--ffn-dim', '--ffn-dim', [CompletionResultType]::ParameterName, 'Neurons of every feed-forward block')
            [CompletionResult]::new('--encoder-ffn-dim', '--encoder-ffn-dim', [CompletionResultType]::ParameterName, 'Neurons of the encoder''s feed-forward blocks')
            [CompletionResult]::new('--decoder-ffn-dim', '--decoder-ffn-dim', [CompletionResultType]::ParameterName, 'Neurons of the decoder''s feed-forward blocks')
            [CompletionResult]::new('--max-positions', '--max-positions', [CompletionResultType]::ParameterName, 'Longest sequence in pieces, marks included')
            [CompletionResult]::new('--dropout', '--dropout', [CompletionResultType]::ParameterName, 'Dropout of embeddings and sub-layers while training')
            [CompletionResult]::new('--attention-dropout', '--attention-dropout', [CompletionResultType]::ParameterName, 'Dropout of attention weights')
            [CompletionResult]::new('--activation-dropout', '--activation-dropout', [CompletionResultType]::ParameterName, 'Dropout inside feed-forward blocks')
            [CompletionResult]::new('--init-std', '--init-std', [CompletionResultType]::ParameterName, 'Standard deviation of the random weights')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress display')
            [CompletionResult]::new('--progress-interval', '--progress-interval', [CompletionResultType]::ParameterName, 'Seconds between progress lines when standard error is not a terminal')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on standard error')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Every random stream is derived from this number, by name')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; 0 means all')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda or cuda:N')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Number format of the computation; default: the checkpoint''s on accelerators, f32 on the CPU')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings from a TOML file: one table per command and `[global]`')
            [CompletionResult]::new('--byte-fallback', '--byte-fallback', [CompletionResultType]::ParameterName, 'Spell characters without a piece in bytes (256 entries) instead of `<unk>`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--deterministic', '--deterministic', [CompletionResultType]::ParameterName, 'Refuse kernels and reductions whose result may vary from run to run')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Records on standard output (`--format jsonl`) and errors as records on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that can be checked, print what would be read and written, and exit')
            [CompletionResult]::new('--dump-config', '--dump-config', [CompletionResultType]::ParameterName, 'Print the effective settings with the origin of each, and exit')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace an existing output')
            [CompletionResult]::new('--warnings-as-errors', '--warnings-as-errors', [CompletionResultType]::ParameterName, 'Fail at the end when there were warnings')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'isogloss;train' {
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'Model directory, or a run (its best checkpoint)')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'Model directory, or a run (its best checkpoint)')
            [CompletionResult]::new('--train', '--train', [CompletionResultType]::ParameterName, 'Parallel text to train on; may be repeated')
            [CompletionResult]::new('--valid', '--valid', [CompletionResultType]::ParameterName, 'Parallel text to validate on; may be repeated')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Run directory to fill')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Run directory to fill')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'What is trained')
            [CompletionResult]::new('--init-from', '--init-from', [CompletionResultType]::ParameterName, 'Take the weights from this model or run instead of MODEL''s')
            [CompletionResult]::new('--input-format', '--input-format', [CompletionResultType]::ParameterName, 'Format of the text; else by extension and content')
            [CompletionResult]::new('--src-lang', '--src-lang', [CompletionResultType]::ParameterName, 'Source language of records that name none')
            [CompletionResult]::new('--tgt-lang', '--tgt-lang', [CompletionResultType]::ParameterName, 'Target language of records that name none')
            [CompletionResult]::new('--direction', '--direction', [CompletionResultType]::ParameterName, 'Only these directions, such as `en-de`; may be repeated')
            [CompletionResult]::new('--max-len', '--max-len', [CompletionResultType]::ParameterName, 'Longest side in tokens, marks included; default the model''s limit')
            [CompletionResult]::new('--on-long', '--on-long', [CompletionResultType]::ParameterName, 'What to do with longer pairs')
            [CompletionResult]::new('--max-steps', '--max-steps', [CompletionResultType]::ParameterName, 'Updates to make in all')
            [CompletionResult]::new('--max-epochs', '--max-epochs', [CompletionResultType]::ParameterName, 'Passes over the data to make in all')
            [CompletionResult]::new('--max-minutes', '--max-minutes', [CompletionResultType]::ParameterName, 'Minutes to train in all, earlier starts included')
            [CompletionResult]::new('--patience', '--patience', [CompletionResultType]::ParameterName, 'Stop after so many validations without improvement')
            [CompletionResult]::new('--batch-tokens', '--batch-tokens', [CompletionResultType]::ParameterName, 'Tokens of a batch (the longer side counts)')
            [CompletionResult]::new('--grad-accum', '--grad-accum', [CompletionResultType]::ParameterName, 'Batches of one update; each holds one direction')
            [CompletionResult]::new('--temperature', '--temperature', [CompletionResultType]::ParameterName, 'Directions are drawn in proportion to pairs^(1/T)')
            [CompletionResult]::new('--lr', '--lr', [CompletionResultType]::ParameterName, 'Highest learning rate')
            [CompletionResult]::new('--min-lr', '--min-lr', [CompletionResultType]::ParameterName, 'Lowest learning rate after warm-up')
            [CompletionResult]::new('--lr-schedule', '--lr-schedule', [CompletionResultType]::ParameterName, 'How the learning rate changes')
            [CompletionResult]::new('--warmup-steps', '--warmup-steps', [CompletionResultType]::ParameterName, 'Updates over which the learning rate rises')
            [CompletionResult]::new('--optimizer', '--optimizer', [CompletionResultType]::ParameterName, 'optimizer')
            [CompletionResult]::new('--beta1', '--beta1', [CompletionResultType]::ParameterName, 'beta1')
            [CompletionResult]::new('--beta2', '--beta2', [CompletionResultType]::ParameterName, 'beta2')
            [CompletionResult]::new('--eps', '--eps', [CompletionResultType]::ParameterName, 'eps')
            [CompletionResult]::new('--weight-decay', '--weight-decay', [CompletionResultType]::ParameterName, 'weight-decay')
            [CompletionResult]::new('--clip-norm', '--clip-norm', [CompletionResultType]::ParameterName, 'Largest norm of all gradients together; 0 for no clipping')
            [CompletionResult]::new('--label-smoothing', '--label-smoothing', [CompletionResultType]::ParameterName, 'label-smoothing')
            [CompletionResult]::new('--dropout', '--dropout', [CompletionResultType]::ParameterName, 'Replaces the configuration''s dropout')
            [CompletionResult]::new('--attention-dropout', '--attention-dropout', [CompletionResultType]::ParameterName, 'attention-dropout')
            [CompletionResult]::new('--activation-dropout', '--activation-dropout', [CompletionResultType]::ParameterName, 'activation-dropout')
            [CompletionResult]::new('--freeze', '--freeze', [CompletionResultType]::ParameterName, 'Parameters to leave as they are: all, embeddings, encoder, decoder, attention, feed-forward, layer-norms, biases, or a pattern; may be repeated')
            [CompletionResult]::new('--train-only', '--train-only', [CompletionResultType]::ParameterName, 'Train these parameters only; may be repeated')
            [CompletionResult]::new('--valid-every', '--valid-every', [CompletionResultType]::ParameterName, 'Updates between validations')
            [CompletionResult]::new('--best-metric', '--best-metric', [CompletionResultType]::ParameterName, 'What decides which checkpoint is best: nll, or a metric of `--valid-metric`')
            [CompletionResult]::new('--save-every', '--save-every', [CompletionResultType]::ParameterName, 'Updates between checkpoints')
            [CompletionResult]::new('--keep-last', '--keep-last', [CompletionResultType]::ParameterName, 'Checkpoints kept beside the best')
            [CompletionResult]::new('--keep-best', '--keep-best', [CompletionResultType]::ParameterName, 'Best checkpoints kept')
            [CompletionResult]::new('--average', '--average', [CompletionResultType]::ParameterName, 'At the end, average the last N checkpoints into `checkpoints/average`')
            [CompletionResult]::new('--log-every', '--log-every', [CompletionResultType]::ParameterName, 'Updates between log records')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Shape of standard output')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Shape of standard output')
            [CompletionResult]::new('--dump-batches', '--dump-batches', [CompletionResultType]::ParameterName, 'Write the token ids of every batch to a file, for comparison with other programs')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress display')
            [CompletionResult]::new('--progress-interval', '--progress-interval', [CompletionResultType]::ParameterName, 'Seconds between progress lines when standard error is not a terminal')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on standard error')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Every random stream is derived from this number, by name')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; 0 means all')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda or cuda:N')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Number format of the computation; default: the checkpoint''s on accelerators, f32 on the CPU')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings from a TOML file: one table per command and `[global]`')
            [CompletionResult]::new('--both-directions', '--both-directions', [CompletionResultType]::ParameterName, 'Use every pair in both directions (the default)')
            [CompletionResult]::new('--no-both-directions', '--no-both-directions', [CompletionResultType]::ParameterName, 'Use pairs only in the direction they are written')
            [CompletionResult]::new('--reverse', '--reverse', [CompletionResultType]::ParameterName, 'Swap source and target of every pair (with `--no-both-directions`)')
            [CompletionResult]::new('--log-pairs', '--log-pairs', [CompletionResultType]::ParameterName, 'Log the loss of each direction too')
            [CompletionResult]::new('--resume', '--resume', [CompletionResultType]::ParameterName, 'Continue an unfinished run (the default)')
            [CompletionResult]::new('--overwrite', '--overwrite', [CompletionResultType]::ParameterName, 'Move an existing run aside and start afresh')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--deterministic', '--deterministic', [CompletionResultType]::ParameterName, 'Refuse kernels and reductions whose result may vary from run to run')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Records on standard output (`--format jsonl`) and errors as records on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that can be checked, print what would be read and written, and exit')
            [CompletionResult]::new('--dump-config', '--dump-config', [CompletionResultType]::ParameterName, 'Print the effective settings with the origin of each, and exit')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace an existing output')
            [CompletionResult]::new('--warnings-as-errors', '--warnings-as-errors', [CompletionResultType]::ParameterName, 'Fail at the end when there were warnings')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'isogloss;translate' {
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress display')
            [CompletionResult]::new('--progress-interval', '--progress-interval', [CompletionResultType]::ParameterName, 'Seconds between progress lines when standard error is not a terminal')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on standard error')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Every random stream is derived from this number, by name')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; 0 means all')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda or cuda:N')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Number format of the computation; default: the checkpoint''s on accelerators, f32 on the CPU')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings from a TOML file: one table per command and `[global]`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--deterministic', '--deterministic', [CompletionResultType]::ParameterName, 'Refuse kernels and reductions whose result may vary from run to run')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Records on standard output (`--format jsonl`) and errors as records on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that can be checked, print what would be read and written, and exit')
            [CompletionResult]::new('--dump-config', '--dump-config', [CompletionResultType]::ParameterName, 'Print the effective settings with the origin of each, and exit')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace an existing output')
            [CompletionResult]::new('--warnings-as-errors', '--warnings-as-errors', [CompletionResultType]::ParameterName, 'Fail at the end when there were warnings')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'isogloss;score' {
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress display')
            [CompletionResult]::new('--progress-interval', '--progress-interval', [CompletionResultType]::ParameterName, 'Seconds between progress lines when standard error is not a terminal')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on standard error')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Every random stream is derived from this number, by name')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; 0 means all')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda or cuda:N')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Number format of the computation; default: the checkpoint''s on accelerators, f32 on the CPU')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings from a TOML file: one table per command and `[global]`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--deterministic', '--deterministic', [CompletionResultType]::ParameterName, 'Refuse kernels and reductions whose result may vary from run to run')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Records on standard output (`--format jsonl`) and errors as records on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that can be checked, print what would be read and written, and exit')
            [CompletionResult]::new('--dump-config', '--dump-config', [CompletionResultType]::ParameterName, 'Print the effective settings with the origin of each, and exit')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace an existing output')
            [CompletionResult]::new('--warnings-as-errors', '--warnings-as-errors', [CompletionResultType]::ParameterName, 'Fail at the end when there were warnings')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'isogloss;inspect' {
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Progress display')
            [CompletionResult]::new('--progress-interval', '--progress-interval', [CompletionResultType]::ParameterName, 'Seconds between progress lines when standard error is not a terminal')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Colour on standard error')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Every random stream is derived from this number, by name')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; 0 means all')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda or cuda:N')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Number format of the computation; default: the checkpoint''s on accelerators, f32 on the CPU')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'Settings from a TOML file: one table per command and `[global]`')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less; twice: errors only')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: debug')
            [CompletionResult]::new('--deterministic', '--deterministic', [CompletionResultType]::ParameterName, 'Refuse kernels and reductions whose result may vary from run to run')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Records on standard output (`--format jsonl`) and errors as records on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Check everything that can be checked, print what would be read and written, and exit')
            [CompletionResult]::new('--dump-config', '--dump-config', [CompletionResultType]::ParameterName, 'Print the effective settings with the origin of each, and exit')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace an existing output')
            [CompletionResult]::new('--warnings-as-errors', '--warnings-as-errors', [CompletionResultType]::ParameterName, 'Fail at the end when there were warnings')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'isogloss;help' {
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'New model directory: tokenizer trained on the text, random weights')
            [CompletionResult]::new('train', 'train', [CompletionResultType]::ParameterValue, 'Train or fine-tune a model')
            [CompletionResult]::new('translate', 'translate', [CompletionResultType]::ParameterValue, 'A filter: text or records in, translations out, in order')
            [CompletionResult]::new('score', 'score', [CompletionResultType]::ParameterValue, 'BLEU, chrF, TER by direction and group, significance, regression gate')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Say what any file of ours (or a peer''s checkpoint) is')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'isogloss;help;init' {
            break
        }
        'isogloss;help;train' {
            break
        }
        'isogloss;help;translate' {
            break
        }
        'isogloss;help;score' {
            break
        }
        'isogloss;help;inspect' {
            break
        }
        'isogloss;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
