"""bad_gateway.py WHAT: an HTTP server for tests that is no good as a Pushgateway. Prints its port, then serves until it is
ended. WHAT: hang (accepts and says nothing), 400 (answers so, with a reason), drip (one byte of an answer a second)."""
import socket
import sys
import time

what = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
open_connections = []
while True:
    connection, _ = listener.accept()
    open_connections.append(connection)
    if what == "400":
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\nConnection: close\r\n\r\npushed twice")
        connection.close()
    elif what == "drip":
        try:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                connection.sendall(bytes([byte]))
                time.sleep(1)
        except OSError:
            pass
