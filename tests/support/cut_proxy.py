"""cut_proxy.py HOST PORT: a TCP proxy in front of PostgreSQL that counts protocol messages and strikes at one of them.
Prints its port, then serves and obeys lines on standard input, until that ends:

  arm                                 counts from here on, over all connections together; strikes nowhere
  arm SIDE WHEN N fin|rst|run COMMAND the same, and strikes once: at the N-th message that SIDE (client, server;
                                      client@2: of the second connection alone) has sent, right before or after it is
                                      passed on (WHEN), by closing both sides of that connection (with FIN, or RST) or
                                      by running COMMAND in a shell while everything waits. Prints "armed".
  also SIDE WHEN N ...                one more strike in the same run. Prints "armed".
  verdict                             once all connections are closed: "struck" (all of them) or "missed"
  places [K]                          each place of the run (of its K-th connection) as a line "SIDE WHEN N"; then "end"

A place is before each message, and after the last one of a turn: after any other is the same as before the next.
A CancelRequest passes and does not count. The client must not ask for SSL or GSS."""
import collections
import select
import socket
import struct
import subprocess
import sys

CANCEL, SSL, GSS = 80877102, 80877103, 80877104
OTHER = {"client": "server", "server": "client"}


class Link:
    """One connection of a client, with the one to the server that belongs to it."""

    def __init__(self, client, server):
        self.number = None  # of the connections of the run; None: nothing was sent yet, or it is not counted
        self.sockets = {"client": client, "server": server}
        self.rest = {"client": b"", "server": b""}
        self.started = False  # the first message, which has no type, was sent
        self.counted = True

    def receive(self, side):
        """Adds what has come from this side; False: it is gone."""
        try:
            data = self.sockets[side].recv(65536)
        except ConnectionError:
            data = b""
        self.rest[side] += data
        return data != b""

    def messages(self, side):
        """Takes whole messages, as long as there is one and nobody has closed the connection."""
        while self.sockets and len(self.rest[side]) >= 5:
            typed = side == "server" or self.started
            length = struct.unpack_from("!I", self.rest[side], typed)[0] + typed
            if len(self.rest[side]) < length:
                return
            message, self.rest[side] = self.rest[side][:length], self.rest[side][length:]
            if not typed:
                self.started = True
                code = struct.unpack_from("!I", message, 4)[0]
                if code in (SSL, GSS):
                    sys.exit("cut_proxy.py: the client asks for encryption")
                self.counted = code != CANCEL
            yield message

    def send(self, side, message):
        try:
            self.sockets[OTHER[side]].sendall(message)
        except ConnectionError:
            self.close()

    def close(self, reset=False):
        for connection in self.sockets.values():
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:  # the kernel would send RST if anything was left to read
                connection.setblocking(False)
                try:
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass
            connection.close()
        self.sockets = {}


class Proxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.links = []
        self.arm([])

    def arm(self, words):
        self.strikes = {}  # place: how
        self.add_strike(words)
        self.sent = []  # (side, number of the connection) of each message
        self.counts = collections.Counter()

    def add_strike(self, words):
        if words:
            self.strikes[(words[0], words[1], int(words[2]))] = words[3:]

    def accept(self):
        client = self.listener.accept()[0]
        try:
            server = socket.create_connection(self.upstream)
        except OSError:  # no server there just now
            client.close()
            return
        for connection in (client, server):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.links.append(Link(client, server))

    def strike_if(self, link, side, when, passed):
        """`passed`: the messages that are to be sent first if it strikes, and then are gone from there."""
        for key in (side, f"{side}@{link.number}"):
            how = self.strikes.pop((key, when, self.counts[key]), None)
            if how is None:
                continue
            if link.sockets:
                link.send(side, passed)
            passed.clear()
            if how[0] == "run":
                subprocess.run(how[1], shell=True, stdin=subprocess.DEVNULL, check=True)
            else:
                link.close(reset=how[0] == "rst")

    def count(self, link, side):
        if link.number is None:
            self.counts["connections"] += 1
            link.number = self.counts["connections"]
        self.sent.append((side, link.number))
        self.counts[side] += 1
        self.counts[f"{side}@{link.number}"] += 1

    def pass_on(self, link, side):
        """What has come together is sent together, up to a strike."""
        gone = not link.receive(side)
        passed = bytearray()
        for message in link.messages(side):
            if link.counted:
                self.count(link, side)
                if self.strikes:
                    self.strike_if(link, side, "before", passed)
            passed += message
            if link.counted and self.strikes and link.sockets:
                self.strike_if(link, side, "after", passed)
        if passed and link.sockets:
            link.send(side, passed)
        if gone:
            link.close()

    def places(self, number=None):
        sides = [s for s, n in self.sent if number in (None, n)]
        suffix = "" if number is None else f"@{number}"
        counts = collections.Counter()
        for side, following in zip(sides, sides[1:] + [None]):
            counts[side] += 1
            yield f"{side}{suffix} before {counts[side]}"
            if following != side:
                yield f"{side}{suffix} after {counts[side]}"

    def serve_once(self, more=()):
        """Returns which of `more` are readable."""
        owner = {connection: (link, side) for link in self.links for side, connection in link.sockets.items()}
        readable = select.select([self.listener, *owner, *more], [], [])[0]
        for connection in readable:
            if connection is self.listener:
                self.accept()
            elif connection in owner and owner[connection][0].sockets:
                self.pass_on(*owner[connection])
        self.links = [link for link in self.links if link.sockets]
        return [it for it in more if it in readable]

    def obey(self, words):
        if words[0] == "arm":
            self.arm(words[1:])
            print("armed", flush=True)
        elif words[0] == "also":
            self.add_strike(words[1:])
            print("armed", flush=True)
        elif words[0] == "verdict":
            while self.links:
                self.serve_once()
            print("missed" if self.strikes else "struck", flush=True)
        elif words[0] == "places":
            print(*self.places(*map(int, words[1:])), "end", sep="\n", flush=True)


def main():
    proxy = Proxy((sys.argv[1], int(sys.argv[2])))
    print(proxy.listener.getsockname()[1], flush=True)
    commands = open(0, "rb", buffering=0)  # a line that waits in a buffer would not be seen by select
    while True:
        if proxy.serve_once([commands]):
            line = commands.readline().decode()
            if not line:
                return
            proxy.obey(line.split(maxsplit=5))


main()
