# scripts/demo.sh goes through, says what README.md shows of it (numbers aside), and leaves nothing behind, also when it is
# interrupted.
source "$SUPPORT/lib.sh"
mkdir -m 711 tmp
demo() { env -i PATH="$PATH" TMPDIR="$PWD/tmp" ASAN_OPTIONS="${ASAN_OPTIONS:-}" bash "$REPO/scripts/demo.sh" "$@"; }
nothing_left() {
  [[ -z $(ls tmp) ]] || fail "left behind: $(ls tmp)"
  ! pgrep -f "postgres.*$PWD/tmp/" || fail 'a server is left running'
}

demo "$LOCKKEEPER" >demo.out 2>demo.err || fail "$(cat demo.out demo.err)"
[[ ! -s demo.err ]] || fail "stderr: $(<demo.err)"
nothing_left
! grep -q $'\e' demo.out || fail 'colours in a file'
grep -q '^exit code 21$' demo.out || fail 'no refused roll-back'
grep -q '^cleaned up' demo.out || fail 'no clean-up'

# --- what README.md and the picture show: the same words, whatever the numbers, times and order of the pods
words() { sed -E 's/[0-9]+(\.[0-9]+)?(e\+[0-9]+)?/N/g; s/ (ms|s|µs)$//; s/lockkeeper.N.N [^ ]+ *\|/lockkeeper HOST |/; s/ +/ /g; s/-+/-/g'; }
sed -n '/^<!-- demo output/,/^<!-- end of demo output/p' "$REPO/README.md" | grep -vE '^(<!--|```|$)' | words | sort -u >documented
words <demo.out | sort -u >shown
missing=$(comm -23 documented shown)
[[ -z $missing ]] || fail "README.md shows what make demo does not: $missing"
python3 - "$REPO/docs/images/demo.svg" demo.out <<'PY' || fail 'docs/images/demo.svg shows what make demo does not: make it anew'
import re, sys
import xml.etree.ElementTree as tree
squeeze = lambda text: re.sub(r"[\s\d.]|ms$", "", text)
shown = "\n".join(squeeze(line) for line in open(sys.argv[2], encoding="utf-8"))
rows = {}
for text in tree.parse(sys.argv[1]).getroot().iter("{http://www.w3.org/2000/svg}text"):
    if "text-anchor" not in text.attrib:
        rows.setdefault(float(text.get("y")), []).append((float(text.get("x")), text.text))
missing = [row for row in ("".join(t for _, t in sorted(parts)) for parts in rows.values()) if squeeze(row) not in shown]
print("\n".join(missing))
sys.exit(1 if missing or len(rows) < 20 else 0)
PY

# --- interrupted while the servers start, and in the middle
for moment in 'are starting' 'lockkeeper verify'; do
  python3 - "$moment" "$REPO/scripts/demo.sh" "$LOCKKEEPER" <<'PY' || fail "SIGINT at '$moment': exit code $?"
import os, signal, subprocess, sys
demo = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                        env={**os.environ, "TMPDIR": os.getcwd() + "/tmp"},
                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
shown = b""
while sys.argv[1].encode() not in shown:
    shown += os.read(demo.stdout.fileno(), 4096) or sys.exit(f"ended: {shown.decode()}")
os.killpg(demo.pid, signal.SIGINT)  # as Ctrl-C does
demo.communicate()
sys.exit(0 if demo.returncode == 130 else demo.returncode & 0xFF or 1)
PY
  nothing_left
done

# --- a step that does not end as it should is an error
cat >broken <<SH
#!/bin/sh
[ "\$1" = --version ] && exec "$LOCKKEEPER" --version
exit 7
SH
chmod +x broken
code=0
demo "$PWD/broken" >demo.out 2>demo.err || code=$?
((code == 1)) || fail "exit code $code of a demo whose steps fail"
grep -q 'lockkeeper plan ended with exit code 7, expected 0' demo.err || fail "$(<demo.err)"
nothing_left
