#!/usr/bin/env python3
"""traffic.py URL READERS OUT SQL...: sessions that read all the time, as an application does, until SIGTERM comes.

Each of the READERS (application_name reader) runs one SQL after the other, with a pause of 20 ms. One more session counts
20 times a second how many of them wait for a lock. OUT becomes a JSON object when it ends:
  reads            how many were answered
  longest_seconds  the longest time that one took, also of those that have no answer yet
  peak_queued      the most readers that waited for a lock at one moment
  errors           messages of reads that failed
Needs no module: libpq is called as it is.
"""
import ctypes
import json
import os
import signal
import sys
import threading
import time

libpq = ctypes.CDLL("libpq.so.5")  # releases the interpreter lock while a call runs
for name in ("PQconnectdb", "PQexec"):
    getattr(libpq, name).restype = ctypes.c_void_p
libpq.PQerrorMessage.restype = libpq.PQresultErrorMessage.restype = libpq.PQgetvalue.restype = ctypes.c_char_p
POINTER = ctypes.c_void_p
CONNECTION_OK, TUPLES_OK = 0, 2

stop = threading.Event()
lock = threading.Lock()
seen = {"reads": 0, "longest_seconds": 0.0, "peak_queued": 0, "errors": []}
under_way = {}


def connect(url, application):
    # urllib is no help here: libpq reads the URL, the name comes from the environment.
    os.environ["PGAPPNAME"] = application
    connection = POINTER(libpq.PQconnectdb(url.encode()))
    if libpq.PQstatus(connection) != CONNECTION_OK:
        sys.exit("traffic.py: " + libpq.PQerrorMessage(connection).decode())
    return connection


def ask(connection, sql):
    """The first value, or None and the message in seen."""
    result = POINTER(libpq.PQexec(connection, sql.encode()))
    value = None
    if libpq.PQresultStatus(result) == TUPLES_OK:
        value = libpq.PQgetvalue(result, 0, 0).decode()
    else:
        with lock:
            seen["errors"].append(libpq.PQresultErrorMessage(result).decode().strip())
    libpq.PQclear(result)
    return value


def read(number, connection, statements):
    turn = number
    while not stop.is_set():
        begin = time.monotonic()
        under_way[number] = begin
        answered = ask(connection, statements[turn % len(statements)]) is not None
        took = time.monotonic() - begin
        with lock:
            under_way.pop(number)
            seen["reads"] += answered
            seen["longest_seconds"] = max(seen["longest_seconds"], took)
            if len(seen["errors"]) > 20:
                break
        turn += 1
        stop.wait(0.02)


def count(connection):
    sql = ("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reader' AND wait_event_type = 'Lock' "
           "AND datname = current_database()")
    while not stop.is_set():
        queued = int(ask(connection, sql) or 0)
        with lock:
            seen["peak_queued"] = max(seen["peak_queued"], queued)
        stop.wait(0.05)


def main():
    url, readers, out, statements = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    connections = [connect(url, "reader") for _ in range(readers)]
    threads = [threading.Thread(target=read, args=(i, c, statements), daemon=True) for i, c in enumerate(connections)]
    threads.append(threading.Thread(target=count, args=(connect(url, "counter"),), daemon=True))
    for thread in threads:
        thread.start()
    while not stop.wait(0.2):
        pass
    deadline = time.monotonic() + 5
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    with lock:
        now = time.monotonic()
        seen["longest_seconds"] = max([seen["longest_seconds"]] + [now - begin for begin in under_way.values()])
        with open(out + ".new", "w", encoding="utf-8") as file:
            json.dump(seen, file)
        os.rename(out + ".new", out)
    os._exit(0)  # a reader that still waits does not keep us


main()
