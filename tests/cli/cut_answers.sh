# The connection breaks at any message that the server sends: the runner connects again and goes on, the history tells
# the truth, nothing is done twice.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
in_parts 3
prepare_cuts
choose server 53 5
cut_connections 'cut answers'
