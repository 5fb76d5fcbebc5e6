# SIGTERM at any message of a run: 143 unless all was done already; the history tells the truth, and how far a file
# without a transaction got; the next run gets to the same end.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
in_parts 2
prepare_cuts
choose 'client after' 15 4 # while the server works on a request
choose '' 239 53 13
kill_at_places TERM '143 0'
