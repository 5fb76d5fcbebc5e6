# The server crashes (an immediate stop) and comes back at any message of a run: the runner waits for it and goes on,
# the history tells the truth, nothing is done twice.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
LOCKKEEPER_TEST_FSYNC=1 own_cluster # what was committed must be there after the crash
start_session() { :; } # it would end with the server
in_session() { seen=$(sql_file "$1"); }
prepare_cuts
choose 'client after' 29 5 # while the server works on a request
choose server 503 200 131
allowed='0 33'
for place in "${places[@]}"; do
  cut_at "$place" "run '$SUPPORT/cluster.sh' restart '$PWD/own' immediate"
done
tell 'server crashes'
