"""terminal.py INPUT COMMAND...: runs COMMAND on a terminal of its own, types INPUT once it has asked something (its
output stopped without a line end), prints what the terminal showed, and exits with COMMAND's exit code."""
import os
import pty
import select
import sys
import time

typed = sys.argv[1].encode().decode("unicode_escape").encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

shown = b""
last = time.monotonic()
while True:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if ready:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            break
        shown += piece
        last = time.monotonic()
    elif typed and shown and not shown.endswith(b"\n") and time.monotonic() - last > 0.2:
        os.write(terminal, typed)
        typed = b""

_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status) % 256 if not os.WIFSIGNALED(status) else 128 + os.WTERMSIG(status))
