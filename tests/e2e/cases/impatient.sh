# helm gives up waiting (--timeout) while the migration runs. The Job goes on; the next release deletes it, its pod
# cancels on the server, and the new Job waits for the lock until then. Nothing is applied twice or left half done.
gate
values
watch_pods
release_fails 90 --timeout 30s
at_the_gate || fail 'the migration, after helm gave up: expected it to run, saw none'
pod=$(pods shop-lockkeeper 'last.metadata.name')
release_in_background 'the next release'
pod_exits "$pod" 143
until_true 120 'the next migration runs' at_the_gate
open_gate
release_finishes
expect 'history' 20250520000000,20250801000000 "$(applied)"
