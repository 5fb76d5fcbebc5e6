"""burst_proxy.py HOST PORT FILE [QUIET_MS]: a TCP proxy that counts how often the client of its one connection spoke
after the other side did, whatever they say, TLS or not. Prints its port, serves one connection, writes the number to
FILE and ends.

What the client sends is held back until it has been quiet for QUIET_MS (150), so that several packets in a row are one
turn whatever the server sends meanwhile. Its last word, that nothing is answered, counts too."""
import pathlib
import select
import socket
import sys


def serve(client, server, quiet):
    turns, held, server_spoke = 0, b"", True
    while True:
        readable = select.select([client, server], [], [], quiet if held else None)[0]
        data = {it: it.recv(65536) for it in readable}
        held += data.get(client, b"")
        gone = b"" in data.values()
        if data.get(server):
            client.sendall(data[server])
            server_spoke = True
        if held and (gone or client not in readable):
            turns += server_spoke
            server_spoke = False
            server.sendall(held)
            held = b""
        if gone:
            return turns


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    client = listener.accept()[0]
    server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    quiet = (int(sys.argv[4]) if len(sys.argv) > 4 else 150) / 1000
    pathlib.Path(sys.argv[3]).write_text(f"{serve(client, server, quiet)}\n")


main()
