#!/bin/sh
# Has translation quality fallen? Translates a fixed set of records with a model and compares the
# scores with those of a stored baseline.
#
#   regression-check.sh MODEL DEV.jsonl BASELINE.jsonl
#
# BASELINE.jsonl holds translations of the same records by the model to compare with (what
# this script leaves in $HYP), or the score records of an earlier `isogloss score --json`.
#
#   ISOGLOSS   the program                                    default: isogloss
#   HYP        where the new translations go                  default: hyp.jsonl
#   MAX_BLEU   how many points of BLEU may be lost            default: 0.5
#   MAX_CHRF   how many points of chrF may be lost            default: 0.5
#   BEAM       beam size                                      default: 1
#
# Exit code: 0 no drop beyond the limits; 1 a drop (the failing rows are printed); 2 and above:
# the check itself is broken (2 usage, 3 data, 4 model, 5 environment), which says nothing about
# quality.
set -u

if [ $# -ne 3 ]; then
    echo "usage: $0 MODEL DEV.jsonl BASELINE.jsonl" >&2
    exit 2
fi
model=$1
dev=$2
baseline=$3
isogloss=${ISOGLOSS:-isogloss}
hyp=${HYP:-hyp.jsonl}

# Two commands rather than a pipe: a pipe would hide the exit code of its first half.
"$isogloss" translate -m "$model" --beam-size "${BEAM:-1}" --max-new-tokens 100 "$dev" > "$hyp"
code=$?
if [ "$code" -ne 0 ]; then
    echo "regression check: broken: translate ended with exit code $code" >&2
    # A failed translation is never "quality fell", whatever its code.
    [ "$code" -eq 1 ] && code=5
    exit "$code"
fi

"$isogloss" score --metric bleu --metric chrf \
    --baseline "$baseline" \
    --max-drop "bleu=${MAX_BLEU:-0.5}" --max-drop "chrf=${MAX_CHRF:-0.5}" "$hyp"
code=$?
case $code in
    0) echo "regression check: passed" >&2 ;;
    1) echo "regression check: quality fell, see the rows above" >&2 ;;
    *) echo "regression check: broken: score ended with exit code $code" >&2 ;;
esac
exit "$code"
