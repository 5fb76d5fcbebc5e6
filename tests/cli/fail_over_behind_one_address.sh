# One address that moves from the old primary to the new one, as a Service does, leads to a standby for a while: a run
# that has begun waits until it is promoted, within --connect-wait. A password that changes meanwhile is read again.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
source "$SUPPORT/fail_over.sh"
start_primary
new_db
sql 'CREATE TABLE mark (entry text)'
sql "CREATE ROLE ${DB}_app LOGIN SUPERUSER PASSWORD 'old'"

# The address: passes new connections on to the port in the file `target`; those that there are stay where they are.
cat >address.py <<'PY'
import socket, threading

def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for side in (source, sink):
        try:
            side.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    client = listener.accept()[0]
    try:
        server = socket.create_connection(("127.0.0.1", int(open("target").read())))
    except OSError:
        client.close()
        continue
    for ends in ((client, server), (server, client)):
        threading.Thread(target=pump, args=ends, daemon=True).start()
PY
move_address() { # PORT
  echo "$1" >target.new
  mv target.new target
}
move_address "$primary_port"
python3 address.py >address &
jobs_of_test+=("$!")
until [[ -s address ]]; do sleep 0.05; done

ENV=(DATABASE_URL_FILE="$PWD/secret") # for a run without a URL
secret() { # PASSWORD: the file has the URL with it from now on
  printf 'postgresql://%s_app:%s@127.0.0.1:%s/%s?sslmode=disable' "$DB" "$1" "$(<address)" "$DB" >secret.new
  mv secret.new secret
}
start_through_address() { # ARGUMENT...
  URL='' start_up "$@"
  wait_until_it_stands_still
}
expect_done() { # MARKS
  expect_sql "SELECT string_agg(entry, ' ' ORDER BY entry) FROM mark" "$1"
  expect_sql "SELECT string_agg(version || ' ' || outcome, ', ' ORDER BY id) FROM lockkeeper.history" "$2"
}

# The server restarts, and the password is another one; the file has it a little later.
secret old
mig 1_restart <<<"INSERT INTO mark VALUES ('1.1'); SELECT $(stand_still); INSERT INTO mark VALUES ('1.3');"
start_through_address
sql "ALTER ROLE ${DB}_app PASSWORD 'new'"
"$SUPPORT/cluster.sh" restart "$PWD/own" immediate
wait_log '"event":"connect_retry".*password authentication failed'
secret new
finish up
expect_code 0
expect_err 'connection to the server was lost.*; connecting again'
expect_done '1.1 1.3' '1 applied'
expect_no ':(old|new)@'

# The address leads to the standby, and that is promoted a little later.
start_standby second
mig 2_moved <<<"INSERT INTO mark VALUES ('2.1'); SELECT $(stand_still); INSERT INTO mark VALUES ('2.3');"
mig 3_after <<<"INSERT INTO mark VALUES ('3.1')"
start_through_address
move_address "$standby_port"
stop_primary
wait_log '"level":"warn".*the server is a standby: it only allows reading; waiting'
promote
finish up
expect_code 0
expect_err 'connection to the server was lost.*; connecting again'
expect_log '.[-1].applied' 2
expect_done '1.1 1.3 2.1 2.3 3.1' '1 applied, 2 applied, 3 applied'

# Nobody promotes it: the run gives up after --connect-wait, says what it found, and has changed nothing.
start_standby third
mig 4_never <<<"INSERT INTO mark VALUES ('4.1'); SELECT $(stand_still); INSERT INTO mark VALUES ('4.3');"
start_through_address --connect-wait 2s
move_address "$standby_port"
begin=$EPOCHREALTIME
stop_primary
finish up
took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
expect_code 33
expect_err 'the connection was lost during the run, and there is no new one: the server is a standby.*hint.*Run again'
expect_err 'run_finished.*"exit_code":33.*"retry":"retryable"'
((took >= 2000 && took < 8000)) || fail "gave up after $took ms, with --connect-wait 2s"

# The same with both servers in the URL. Then somebody promotes it, and the next run goes on.
"$SUPPORT/cluster.sh" restart "$PWD/$primary"
expect_done '1.1 1.3 2.1 2.3 3.1' '1 applied, 2 applied, 3 applied'
mig 4_never <<<"INSERT INTO mark VALUES ('4.1'); SELECT $(stand_still); INSERT INTO mark VALUES ('4.3');"
URL=$(url_of_ports "$primary_port" "$standby_port") start_up --connect-wait 2s
wait_until_it_stands_still
stop_primary
finish up
expect_code 33
expect_err 'was lost during the run, and there is no new one: cannot connect to .*(read-only|hot standby)'
promote
URL='' run up
expect_code 0
expect_done '1.1 1.3 2.1 2.3 3.1 4.1 4.3' '1 applied, 2 applied, 3 applied, 4 applied'
