# kill -9 at any message of a run: the history tells the truth, and the next run gets to the same end, with nothing done
# twice and nothing left undone.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
in_parts 2
prepare_cuts
choose 'client after' 15 3 # while the server works on a request
choose '' 239 11 13
kill_at_places KILL '137 0'
