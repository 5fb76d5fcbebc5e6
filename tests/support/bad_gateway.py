"""bad_gateway.py WHAT [REQUESTS]: an HTTP server for tests that is no good as a receiver of metrics. Prints its port, then
serves until it is ended; each request's first line is added to the file REQUESTS. WHAT:

hang                accepts and says nothing
drip                one byte of an answer a second
400 401 500 redirect  answers so, with a reason
503                 answers so, always
503-once            answers 503 with Retry-After: 1 at first, and takes everything after that
"""
import re
import socket
import sys
import time

ANSWERS = {
    "200": ("200 OK", "", ""),
    "400": ("400 Bad Request", "", "pushed twice"),
    "401": ("401 Unauthorized", 'WWW-Authenticate: Basic realm="metrics"\r\n', "who is it"),
    "500": ("500 Internal Server Error", "", "disk full"),
    "503": ("503 Service Unavailable", "", "starting"),
    "503-once": ("503 Service Unavailable", "Retry-After: 1\r\n", "starting"),
    "redirect": ("307 Temporary Redirect", "Location: http://127.0.0.1:1/elsewhere\r\n", ""),
}


def answer(what):
    status, headers, body = ANSWERS[what]
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def read_request(connection):
    """All of it: a connection that is closed before is a reset for the sender."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += (data := connection.recv(65536))
        if not data:
            return request
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += (data := connection.recv(65536))
        if not data:
            break
    return request


def main():
    what, requests = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    open_connections = []
    count = 0
    while True:
        connection, _ = listener.accept()
        open_connections.append(connection)  # hang: kept open
        try:
            if what != "hang":
                first_line = read_request(connection).partition(b"\r\n")[0]
                if requests:
                    with open(requests, "a", encoding="utf-8") as file:
                        file.write(first_line.decode("utf-8", "replace") + "\n")
            count += 1
            if what == "drip":
                for byte in answer("200"):
                    connection.sendall(bytes([byte]))
                    time.sleep(1)
            elif what != "hang":
                connection.sendall(answer("200" if what == "503-once" and count > 1 else what))
                connection.close()
        except OSError:
            pass  # the sender has gone


main()
