# From its start to its end, the release binary takes no more instructions than bench/instructions.tsv allows.
source "$LOCKKEEPER_IMAGE_LIB"
"$REPO/bench/instructions.sh" "$(release_binary amd64)" --check >counted 2>&1 || fail "$(<counted)"
while read -r line; do figure "$line"; done <counted
