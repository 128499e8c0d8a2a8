_isogloss() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="isogloss"
                ;;
            isogloss,build-masks)
                cmd="isogloss__subcmd__build__subcmd__masks"
                ;;
            isogloss,export)
                cmd="isogloss__subcmd__export"
                ;;
            isogloss,gen-adapters)
                cmd="isogloss__subcmd__gen__subcmd__adapters"
                ;;
            isogloss,help)
                cmd="isogloss__subcmd__help"
                ;;
            isogloss,init)
                cmd="isogloss__subcmd__init"
                ;;
            isogloss,inspect)
                cmd="isogloss__subcmd__inspect"
                ;;
            isogloss,profile-neurons)
                cmd="isogloss__subcmd__profile__subcmd__neurons"
                ;;
            isogloss,prune-lora)
                cmd="isogloss__subcmd__prune__subcmd__lora"
                ;;
            isogloss,score)
                cmd="isogloss__subcmd__score"
                ;;
            isogloss,tag)
                cmd="isogloss__subcmd__tag"
                ;;
            isogloss,tokenize)
                cmd="isogloss__subcmd__tokenize"
                ;;
            isogloss,train)
                cmd="isogloss__subcmd__train"
                ;;
            isogloss,translate)
                cmd="isogloss__subcmd__translate"
                ;;
            isogloss__subcmd__help,build-masks)
                cmd="isogloss__subcmd__help__subcmd__build__subcmd__masks"
                ;;
            isogloss__subcmd__help,export)
                cmd="isogloss__subcmd__help__subcmd__export"
                ;;
            isogloss__subcmd__help,gen-adapters)
                cmd="isogloss__subcmd__help__subcmd__gen__subcmd__adapters"
                ;;
            isogloss__subcmd__help,help)
                cmd="isogloss__subcmd__help__subcmd__help"
                ;;
            isogloss__subcmd__help,init)
                cmd="isogloss__subcmd__help__subcmd__init"
                ;;
            isogloss__subcmd__help,inspect)
                cmd="isogloss__subcmd__help__subcmd__inspect"
                ;;
            isogloss__subcmd__help,profile-neurons)
                cmd="isogloss__subcmd__help__subcmd__profile__subcmd__neurons"
                ;;
            isogloss__subcmd__help,prune-lora)
                cmd="isogloss__subcmd__help__subcmd__prune__subcmd__lora"
                ;;
            isogloss__subcmd__help,score)
                cmd="isogloss__subcmd__help__subcmd__score"
                ;;
            isogloss__subcmd__help,tag)
                cmd="isogloss__subcmd__help__subcmd__tag"
                ;;
            isogloss__subcmd__help,tokenize)
                cmd="isogloss__subcmd__help__subcmd__tokenize"
                ;;
            isogloss__subcmd__help,train)
                cmd="isogloss__subcmd__help__subcmd__train"
                ;;
            isogloss__subcmd__help,translate)
                cmd="isogloss__subcmd__help__subcmd__translate"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        isogloss)
            opts="-q -v -h -V --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help --version init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__build__subcmd__masks)
            opts="-o -m -f -q -v -h --output --rule --k --k-encoder --k-decoder --k-for --top --model --direction --group-by --groups --combine --merge --overlap --figure --compare --related-by --format --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rule)
                    COMPREPLY=($(compgen -W "cumulative random magnitude complement activation top-n" -- "${cur}"))
                    return 0
                    ;;
                --k)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --k-encoder)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --k-decoder)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --k-for)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --top)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --direction)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --group-by)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --combine)
                    COMPREPLY=($(compgen -W "union intersection counts" -- "${cur}"))
                    return 0
                    ;;
                --merge)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --figure)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --compare)
                    COMPREPLY=($(compgen -W "varying all" -- "${cur}"))
                    return 0
                    ;;
                --related-by)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__export)
            opts="-m -o -f -q -v -h --model --direction --output --masks --unknown-direction --foreign-masks --format --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --direction)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --masks)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unknown-direction)
                    COMPREPLY=($(compgen -W "error dense merged" -- "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__gen__subcmd__adapters)
            opts="-m -o -f -q -v -h --model --output --languages --direction --as --task --layout --embeddings --groups --by --allow-base-mismatch --format --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --languages)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --direction)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --task)
                    COMPREPLY=($(compgen -W "translation denoising tagging" -- "${cur}"))
                    return 0
                    ;;
                --layout)
                    COMPREPLY=($(compgen -W "bank adapterhub" -- "${cur}"))
                    return 0
                    ;;
                --embeddings)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --by)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help)
            opts="init profile-neurons build-masks train prune-lora gen-adapters translate tag score export tokenize inspect help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__build__subcmd__masks)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__export)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__gen__subcmd__adapters)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__init)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__inspect)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__profile__subcmd__neurons)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__prune__subcmd__lora)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__score)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__tag)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__tokenize)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__train)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__help__subcmd__translate)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__init)
            opts="-o -q -v -h --output --input-format --src-lang --tgt-lang --src --tgt --languages --vocab-size --tokenizer-model --character-coverage --byte-fallback --tokenizer-temperature --tokenizer-sentences --tokenizer --preset --model-config --d-model --encoder-layers --decoder-layers --heads --ffn-dim --encoder-ffn-dim --decoder-ffn-dim --max-positions --dropout --attention-dropout --activation-dropout --init-method --init-std --from --new-language --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-format)
                    COMPREPLY=($(compgen -W "jsonl tsv text" -- "${cur}"))
                    return 0
                    ;;
                --src-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --src)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --languages)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --vocab-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tokenizer-model)
                    COMPREPLY=($(compgen -W "bpe unigram" -- "${cur}"))
                    return 0
                    ;;
                --character-coverage)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tokenizer-temperature)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tokenizer-sentences)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tokenizer)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --preset)
                    COMPREPLY=($(compgen -W "tiny small iwslt deep base big" -- "${cur}"))
                    return 0
                    ;;
                --model-config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --d-model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --encoder-layers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --decoder-layers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --heads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ffn-dim)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --encoder-ffn-dim)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --decoder-ffn-dim)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-positions)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --attention-dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --activation-dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --init-method)
                    COMPREPLY=($(compgen -W "xavier normal" -- "${cur}"))
                    return 0
                    ;;
                --init-std)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --from)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --new-language)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__inspect)
            opts="-f -q -v -h --format --tensors --quick --curves --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --format)
                    COMPREPLY=($(compgen -W "text json jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text json jsonl" -- "${cur}"))
                    return 0
                    ;;
                --curves)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__profile__subcmd__neurons)
            opts="-m -o -f -q -v -h --model --output --input-format --src-lang --tgt-lang --both-directions --no-both-directions --reverse --direction --max-len --on-long --mark-convention --nllb-legacy-source --unit --exclude-marks --include-padding --threshold --sums --batch-tokens --format --per-neuron --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-format)
                    COMPREPLY=($(compgen -W "jsonl tsv text" -- "${cur}"))
                    return 0
                    ;;
                --src-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --direction)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-len)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --on-long)
                    COMPREPLY=($(compgen -W "skip cut error" -- "${cur}"))
                    return 0
                    ;;
                --mark-convention)
                    COMPREPLY=($(compgen -W "m2m100 nllb nllb-legacy small100" -- "${cur}"))
                    return 0
                    ;;
                --unit)
                    COMPREPLY=($(compgen -W "token sentence" -- "${cur}"))
                    return 0
                    ;;
                --threshold)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --batch-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__prune__subcmd__lora)
            opts="-m -o -f -q -v -h --model --output --ratio --pool --what --unit --budget --balance --rank --method --compact --direction --merge --figure --allow-base-mismatch --format --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ratio)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pool)
                    COMPREPLY=($(compgen -W "language layer" -- "${cur}"))
                    return 0
                    ;;
                --what)
                    COMPREPLY=($(compgen -W "b ab" -- "${cur}"))
                    return 0
                    ;;
                --unit)
                    COMPREPLY=($(compgen -W "entry rank" -- "${cur}"))
                    return 0
                    ;;
                --budget)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --balance)
                    COMPREPLY=($(compgen -W "absolute relative uniform" -- "${cur}"))
                    return 0
                    ;;
                --rank)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --method)
                    COMPREPLY=($(compgen -W "svd components" -- "${cur}"))
                    return 0
                    ;;
                --direction)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --figure)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__score)
            opts="-m -f -w -b -q -v -h --hyp --ref --input-format --src-lang --tgt-lang --system --metric --tokenize --spm-model --lowercase --smooth-method --smooth-value --effective-order --chrf-char-order --chrf-word-order --chrf-beta --chrf-whitespace --chrf-lowercase --chrf-eps-smoothing --ter-normalized --ter-no-punct --ter-asian-support --ter-case-sensitive --by --groups --average --confidence --ci-level --samples --test --trials --resample-seed --baseline --baseline-system --max-drop --max-p --format --width --short --score-only --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --hyp)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ref)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-format)
                    COMPREPLY=($(compgen -W "jsonl tsv text fairseq" -- "${cur}"))
                    return 0
                    ;;
                --src-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --system)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metric)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tokenize)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --spm-model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --smooth-method)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --smooth-value)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --chrf-char-order)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --chrf-word-order)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --chrf-beta)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --by)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --average)
                    COMPREPLY=($(compgen -W "macro micro both" -- "${cur}"))
                    return 0
                    ;;
                --ci-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --samples)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --test)
                    COMPREPLY=($(compgen -W "paired_bs paired_ar" -- "${cur}"))
                    return 0
                    ;;
                --trials)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --resample-seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --baseline)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --baseline-system)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-drop)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl json tsv markdown latex" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl json tsv markdown latex" -- "${cur}"))
                    return 0
                    ;;
                --width)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -w)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__tag)
            opts="-m -f -q -v -h --model --lang --on-long --mark-convention --nllb-legacy-source --masks --unknown-direction --foreign-masks --no-masks --lora --merge-lora --unknown-language --allow-base-mismatch --adapters --no-adapters --as --swap --batch-size --batch-tokens --window --summary --score-only --format --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --on-long)
                    COMPREPLY=($(compgen -W "cut error" -- "${cur}"))
                    return 0
                    ;;
                --mark-convention)
                    COMPREPLY=($(compgen -W "m2m100 nllb nllb-legacy small100" -- "${cur}"))
                    return 0
                    ;;
                --masks)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unknown-direction)
                    COMPREPLY=($(compgen -W "error dense merged" -- "${cur}"))
                    return 0
                    ;;
                --lora)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unknown-language)
                    COMPREPLY=($(compgen -W "error base" -- "${cur}"))
                    return 0
                    ;;
                --adapters)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --batch-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --window)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__tokenize)
            opts="-m -f -q -v -h --model --lang --tgt-lang --input-format --side --mark-convention --nllb-legacy-source --vocabulary --format --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-format)
                    COMPREPLY=($(compgen -W "jsonl tsv text" -- "${cur}"))
                    return 0
                    ;;
                --side)
                    COMPREPLY=($(compgen -W "source target pieces" -- "${cur}"))
                    return 0
                    ;;
                --mark-convention)
                    COMPREPLY=($(compgen -W "m2m100 nllb nllb-legacy small100" -- "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__train)
            opts="-m -o -f -q -v -h --model --train --valid --output --method --init-from --input-format --src-lang --tgt-lang --both-directions --no-both-directions --reverse --direction --max-len --on-long --mark-convention --nllb-legacy-source --masks --unknown-direction --foreign-masks --lora-rank --lora-module-rank --lora-alpha --lora-init --lora-dropout --lora-index --lora-modules --lora-slice --lora-placement --lora-groups --lora-rank-by --lora-share --learn-placement --prune --prune-start --prune-duration --prune-every --prune-pool --prune-what --prune-unit --adapter-bottleneck --adapter-position --adapter-norm --adapter-affine --adapter-index --adapter-groups --adapter-share --adapter-init --train-base --hyper-hidden --hyper-size --match-params --hyper-blocks --hyper-projection --embedding-dim --layer-embedding-dim --hyper-inputs --tie-languages --shared-layer-ids --hyper-input-norm --hyper-output-norm --hyper-dropout --hyper-init --no-rescale --new-language --denoise --denoise-lang --tag --valid-denoise --valid-tag --denoise-languages --tag-languages --noise-mask --noise-drop --noise-shuffle --max-steps --max-epochs --max-minutes --patience --batch-tokens --grad-accum --ranks --gradient-checkpointing --temperature --lr --min-lr --lr-schedule --warmup-steps --optimizer --beta1 --beta2 --eps --weight-decay --clip-norm --label-smoothing --dropout --attention-dropout --activation-dropout --freeze --train-only --valid-every --valid-metric --valid-tokenize --valid-beam-size --valid-sentences --best-metric --save-every --keep-last --keep-best --average --log-every --log-pairs --format --dump-batches --resume --overwrite --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --train)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --method)
                    COMPREPLY=($(compgen -W "full lora adapters hyper-adapters hyper-x" -- "${cur}"))
                    return 0
                    ;;
                --init-from)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-format)
                    COMPREPLY=($(compgen -W "jsonl tsv text" -- "${cur}"))
                    return 0
                    ;;
                --src-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --direction)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-len)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --on-long)
                    COMPREPLY=($(compgen -W "skip cut error" -- "${cur}"))
                    return 0
                    ;;
                --mark-convention)
                    COMPREPLY=($(compgen -W "m2m100 nllb nllb-legacy small100" -- "${cur}"))
                    return 0
                    ;;
                --masks)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unknown-direction)
                    COMPREPLY=($(compgen -W "error dense merged" -- "${cur}"))
                    return 0
                    ;;
                --lora-rank)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-module-rank)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-alpha)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-init)
                    COMPREPLY=($(compgen -W "lslo standard" -- "${cur}"))
                    return 0
                    ;;
                --lora-dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-index)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-modules)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-slice)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-placement)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-rank-by)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lora-share)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --learn-placement)
                    COMPREPLY=($(compgen -W "layer matrix" -- "${cur}"))
                    return 0
                    ;;
                --prune)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prune-start)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prune-duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prune-every)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prune-pool)
                    COMPREPLY=($(compgen -W "language layer" -- "${cur}"))
                    return 0
                    ;;
                --prune-what)
                    COMPREPLY=($(compgen -W "b ab" -- "${cur}"))
                    return 0
                    ;;
                --prune-unit)
                    COMPREPLY=($(compgen -W "entry rank" -- "${cur}"))
                    return 0
                    ;;
                --adapter-bottleneck)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --adapter-position)
                    COMPREPLY=($(compgen -W "attention cross-attention feed-forward layer" -- "${cur}"))
                    return 0
                    ;;
                --adapter-norm)
                    COMPREPLY=($(compgen -W "none before after" -- "${cur}"))
                    return 0
                    ;;
                --adapter-affine)
                    COMPREPLY=($(compgen -W "none learned generated" -- "${cur}"))
                    return 0
                    ;;
                --adapter-index)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --adapter-groups)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --adapter-share)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --adapter-init)
                    COMPREPLY=($(compgen -W "identity xavier small" -- "${cur}"))
                    return 0
                    ;;
                --train-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-hidden)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-size)
                    COMPREPLY=($(compgen -W "small base large" -- "${cur}"))
                    return 0
                    ;;
                --match-params)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-blocks)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-projection)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --embedding-dim)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --layer-embedding-dim)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-inputs)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hyper-init)
                    COMPREPLY=($(compgen -W "xavier match small" -- "${cur}"))
                    return 0
                    ;;
                --new-language)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --denoise)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --denoise-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tag)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-denoise)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-tag)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --denoise-languages)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tag-languages)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --noise-mask)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --noise-drop)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --noise-shuffle)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-steps)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-epochs)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-minutes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --patience)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --batch-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --grad-accum)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ranks)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --temperature)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --min-lr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lr-schedule)
                    COMPREPLY=($(compgen -W "inverse-sqrt linear cosine constant" -- "${cur}"))
                    return 0
                    ;;
                --warmup-steps)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --optimizer)
                    COMPREPLY=($(compgen -W "adam adamw" -- "${cur}"))
                    return 0
                    ;;
                --beta1)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --beta2)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --eps)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --weight-decay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --clip-norm)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --label-smoothing)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --attention-dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --activation-dropout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --freeze)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --train-only)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-every)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-metric)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-tokenize)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-beam-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --valid-sentences)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --best-metric)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --save-every)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keep-last)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keep-best)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --average)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-every)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --dump-batches)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        isogloss__subcmd__translate)
            opts="-m -f -q -v -h --model --list-langs --src-lang --tgt-lang --input-format --reverse --both-directions --on-long --skip-bad --max-errors --mark-convention --nllb-legacy-source --masks --unknown-direction --foreign-masks --no-masks --lora --merge-lora --unknown-language --allow-base-mismatch --adapters --no-adapters --as --swap --beam-size --length-penalty --max-new-tokens --min-new-tokens --early-stopping --no-repeat-ngram-size --suppress-token --prefix --prefix-field --n-best --token-scores --score-given --shortlist --shortlist-size --batch-size --batch-tokens --window --format --header --summary --line-buffered --quiet --verbose --progress --progress-interval --color --seed --threads --device --dtype --deterministic --json --config --dry-run --dump-config --force --warnings-as-errors --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --model)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --src-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tgt-lang)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --input-format)
                    COMPREPLY=($(compgen -W "jsonl tsv text" -- "${cur}"))
                    return 0
                    ;;
                --on-long)
                    COMPREPLY=($(compgen -W "cut error" -- "${cur}"))
                    return 0
                    ;;
                --max-errors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --mark-convention)
                    COMPREPLY=($(compgen -W "m2m100 nllb nllb-legacy small100" -- "${cur}"))
                    return 0
                    ;;
                --masks)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unknown-direction)
                    COMPREPLY=($(compgen -W "error dense merged" -- "${cur}"))
                    return 0
                    ;;
                --lora)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unknown-language)
                    COMPREPLY=($(compgen -W "error base" -- "${cur}"))
                    return 0
                    ;;
                --adapters)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --as)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --beam-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --length-penalty)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-new-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --min-new-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --early-stopping)
                    COMPREPLY=($(compgen -W "false true never" -- "${cur}"))
                    return 0
                    ;;
                --no-repeat-ngram-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --suppress-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prefix-field)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --n-best)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shortlist)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shortlist-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --batch-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --window)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -W "text jsonl" -- "${cur}"))
                    return 0
                    ;;
                --progress)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --progress-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                --seed)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dtype)
                    COMPREPLY=($(compgen -W "f32 bf16 f16 int8" -- "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _isogloss -o nosort -o bashdefault -o default isogloss
else
    complete -F _isogloss -o bashdefault -o default isogloss
fi
