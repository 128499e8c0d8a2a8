#!/bin/sh
# Whether related languages lie close together: mean cosine of pairs of one family and of others, by
# table, from the records of `gen-adapters --embeddings` and a table of families.
set -eu
awk -F '\t' -v q='"' '
    function text(key,   part) { split($0, part, q key q ":" q); split(part[2], part, q); return part[1] }
    function number(key,   part) { split($0, part, q key q ":"); return part[2] + 0 }
    FNR == NR { if (FNR > 1) family[$1] = $3; next }
    /"type":"language_similarity"/ {
        a = text("lang_a"); b = text("lang_b"); role = text("role")
        if (!(a in family) || !(b in family)) next
        kind = family[a] == family[b] ? "one family" : "two families"
        sum[role, kind] += number("cosine_frac"); n[role, kind]++; roles[role]
        if (family[a] == family[b]) printf "%-9s %s-%s %.3f\n", role, a, b, number("cosine_frac")
    }
    END {
        for (role in roles) for (i = 1; i <= 2; i++) {
            kind = i == 1 ? "one family" : "two families"
            if (n[role, kind]) printf "%-9s %-12s mean cosine %.3f of %d pairs\n", role, kind, sum[role, kind] / n[role, kind], n[role, kind]
        }
    }' "$2" "$1"
