#!/bin/sh
# Loss of given translations, in nats per target token without the language mark, by target side.
# Each argument holds the records of `isogloss translate --score-given`; a system's name is its file's.
#
# The mark is left out because masks tell a model what the target language is, before it has read the
# mark: one token of each sentence from English costs the dense model up to ln(languages) nats, and
# the masked one nothing. That is no better translation.
set -eu
printf '%-12s %9s %9s %9s\n' run all from-en into-en
for file in "$@"; do
    test -r "$file" || { echo "given-loss: cannot read $file" >&2; exit 1; }
    awk -v name="$(basename "$file" .given)" '
        function number(key,   part) {
            split($0, part, "\"" key "\":")
            return part[2] + 0
        }
        /"type":"translation"/ {
            side = /"tgt_lang":"en"/ ? "into" : "from"
            sum[side] -= number("score")
            tokens[side] += number("num_hyp_tokens") - 1
        }
        END {
            if (!tokens["into"] || !tokens["from"]) { print "given-loss: no records in " name > "/dev/stderr"; exit 1 }
            printf "%-12s %9.4f %9.4f %9.4f\n", name,
                (sum["into"] + sum["from"]) / (tokens["into"] + tokens["from"]),
                sum["from"] / tokens["from"], sum["into"] / tokens["into"]
        }' "$file"
done
echo
