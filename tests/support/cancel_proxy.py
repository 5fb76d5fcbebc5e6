"""cancel_proxy.py HOST PORT SECONDS COMMAND: a TCP proxy in front of PostgreSQL that lets cancel requests come late: at the
first one it runs COMMAND in a shell, waits SECONDS, and only then passes it on. Prints its port, and "cancel" for each
request; serves until it is ended. The client must not ask for SSL or GSS."""
import socket
import struct
import subprocess
import sys
import threading
import time

CANCEL = 80877102


def pump(source, target):
    """Passes everything on until one side is gone, then ends both."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for side in (source, target):
        try:
            side.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, address, seconds, command, first_cancel):
    start = client.recv(65536)
    server = socket.create_connection(address)
    if len(start) >= 8 and struct.unpack("!II", start[:8])[1] == CANCEL:
        print("cancel", flush=True)
        if first_cancel.acquire(blocking=False):
            subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
            time.sleep(seconds)
    server.sendall(start)
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def main():
    address, seconds, command = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3]), sys.argv[4]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    first_cancel = threading.Lock()
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, address, seconds, command, first_cancel), daemon=True).start()


main()
