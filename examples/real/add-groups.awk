# Adds "tier" and "family" to parallel records, so that `score --by tier` finds them.
#
#   awk -f add-groups.awk groups.tsv test.jsonl
#
# The first file names a language, its resource tier and its family, separated by tabs; a record's
# own language is the side that is not English. Records of other languages pass unchanged.

BEGIN { FS = "\t" }

FNR == NR {
	if ($0 !~ /^#/ && NF == 3) groups[$1] = sprintf(",\"tier\":\"%s\",\"family\":\"%s\"}", $2, $3)
	next
}

{
	language = language_of("tgt_lang")
	if (language == "en") language = language_of("src_lang")
	if (language in groups) sub(/}[ \r]*$/, groups[language])
	print
}

# The value of a field of a flat record: language codes need no escapes.
function language_of(field,    at, rest) {
	at = match($0, "\"" field "\" *: *\"")
	if (!at) return ""
	rest = substr($0, RSTART + RLENGTH)
	return substr(rest, 1, index(rest, "\"") - 1)
}
