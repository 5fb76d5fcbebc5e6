"""turn_proxy.py HOST PORT DIR [QUIET_MS]: a TCP proxy in front of PostgreSQL that counts turns: how often a client waited
for an answer. Prints its port, then serves until it is ended. For each connection, numbered from 1, DIR/n.turns has the
number so far, DIR/n.sent what the client sent and DIR/n.received how many bytes it was answered, all from when the
connection was ready (the first ReadyForQuery).

What a client sends is held back until it has been quiet for QUIET_MS (150, as a busy machine may stop the client for a
while in the middle of a request): one request is one turn, however many packets it has. A turn needs that no answer is
outstanding and no request unfinished; Terminate is no turn. The client must not ask for SSL or GSS."""
import pathlib
import select
import socket
import struct
import sys
import threading


class Messages:
    """Splits a stream into (type, whole message); what is left waits for more. A client's first message has no type."""

    def __init__(self, first_has_type):
        self.rest = b""
        self.has_type = first_has_type

    def split(self, piece):
        self.rest += piece
        while len(self.rest) >= 5:
            length = struct.unpack_from("!I", self.rest, self.has_type)[0] + self.has_type
            if len(self.rest) < length:
                return
            message, self.rest = self.rest[:length], self.rest[length:]
            yield (message[:1] if self.has_type else b""), message
            self.has_type = True


class Conversation:
    def __init__(self, stem):
        self.from_client, self.from_server = Messages(False), Messages(True)
        self.turns_file, self.sent = pathlib.Path(f"{stem}.turns"), open(f"{stem}.sent", "wb", buffering=0)
        self.ready = False
        self.received_file = pathlib.Path(f"{stem}.received")
        self.turns = self.outstanding = self.received = 0
        self.unfinished = False  # a part of a request was sent, without its Sync
        self.turns_file.write_text("0\n")

    def request(self, data):
        """The client has said something and is quiet now."""
        messages = [m for m in self.from_client.split(data) if m[0] not in (b"", b"X")]
        if not self.ready or not messages:
            return
        if self.outstanding == 0 and not self.unfinished:
            self.turns += 1
            self.turns_file.write_text(f"{self.turns}\n")
        self.outstanding += sum(kind in (b"S", b"Q", b"F") for kind, _ in messages)
        self.unfinished = messages[-1][0] not in (b"S", b"Q", b"F")
        self.sent.write(b"".join(message for _, message in messages))

    def answer(self, data):
        if self.ready:
            self.received += len(data)
            self.received_file.write_text(f"{self.received}\n")
        for kind, _ in self.from_server.split(data):
            if kind == b"Z":
                self.outstanding -= 1 if self.ready else 0
                self.ready = True


def serve(client, address, stem, quiet):
    server = socket.create_connection(address)
    conversation = Conversation(stem)
    held = b""
    while True:
        readable, _, _ = select.select([client, server], [], [], quiet if held else None)
        if server in readable:
            data = server.recv(65536)
            if not data:
                break
            conversation.answer(data)
            client.sendall(data)
        data = client.recv(65536) if client in readable else b""
        held += data
        if held and not data:  # quiet, or gone
            conversation.request(held)
            server.sendall(held)
            held = b""
        if client in readable and not data:
            break
    client.close()
    server.close()


def main():
    upstream, directory = (sys.argv[1], int(sys.argv[2])), sys.argv[3]
    quiet = float(sys.argv[4]) / 1000 if len(sys.argv) > 4 else 0.15
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    number = 0
    while True:
        client, _ = listener.accept()
        number += 1
        threading.Thread(target=serve, args=(client, upstream, f"{directory}/{number}", quiet), daemon=True).start()


main()
