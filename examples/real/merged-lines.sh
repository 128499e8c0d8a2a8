#!/bin/sh
# How far two runs of one model agree: identical translations (A.hyp and B.hyp, records), and the largest
# difference of a token's log probability (A.given and B.given, records with `token_scores`).
set -eu
paste -d '\n' "$1.hyp" "$2.hyp" | awk '
    function text() { match($0, /"hyp":"([^"\\]|\\.)*"/); return substr($0, RSTART, RLENGTH) }
    NR % 2 { first = text(); next }
    { lines++; same += first == text() }
    END { print same " of " lines " translations identical" }'
paste -d '\n' "$1.given" "$2.given" | awk '
    {
        match($0, /"token_scores":\[[^]]*\]/)
        list = substr($0, RSTART + 16, RLENGTH - 17)
    }
    NR % 2 { first = list; next }
    {
        n = split(first, a, ","); m = split(list, b, ",")
        if (n != m || n == 0) { print "merged-lines: line " NR / 2 " differs in length" > "/dev/stderr"; exit 1 }
        for (i = 1; i <= n; i++) { d = a[i] - b[i]; if (d < 0) d = -d; if (d > most) most = d }
        tokens += n
    }
    END { printf "log probabilities of %d tokens differ by at most %.1e\n", tokens, most }'
