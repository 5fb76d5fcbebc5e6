# The connection breaks at any message that the runner sends: it connects again and goes on, the history tells the
# truth, nothing is done twice.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
in_parts 2
prepare_cuts
choose client 29 5
cut_connections 'cut requests'
