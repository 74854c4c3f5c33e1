#!/usr/bin/env python3
"""Clients of `effnet serve`, many at once: serve_clients.py PORT PREDICTIONS.jsonl COUNT MOST_BYTES

COUNT good ones send the pictures of `effnet predict --jsonl` and must get its scores; among them are slow, broken and
hostile ones, which must get errors and keep nobody waiting: as many that trickle headers or a body, send what is no
picture or too much, speak no HTTP, or go away in the middle. Everything is bounded in time. Called by test_serve.sh.

SPDX-License-Identifier: Apache-2.0"""

import http.client, json, socket, sys, threading, time

port, count, most_bytes = int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
wanted = [json.loads(line) for line in open(sys.argv[2])]
patience = 120  # seconds, of a loaded machine under a sanitizer
problems, cut, lock = [], [], threading.Lock()
ending = threading.Event()


def problem(text):
    with lock:
        problems.append(text)


def post(body, path="/predict", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    connection.request("POST", path, body, headers or {})
    reply = connection.getresponse()
    answer = json.loads(reply.read())
    connection.close()
    return reply.status, answer


def good(number):
    row = wanted[number % len(wanted)]
    body = open(row["image"], "rb").read()
    headers = {}
    if number % 3 == 1:  # as a form
        body = b'--border\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--border\r\nContent-Disposition: form-data; ' \
               b'name="p"; filename="p.jpg"\r\n\r\n' + body + b"\r\n--border--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=border"}
    if number % 3 == 2:  # in chunks, its length not told
        pieces = [body[i:i + 5000] for i in range(0, len(body), 5000)]
        body = iter(pieces)
    status, answer = post(body, "/predict?topk=2", headers)
    if status != 200:
        problem(f"a good picture got {status}: {answer}")
        return
    for mine, theirs in zip(answer["topk"], row["topk"], strict=True):
        if mine["label"] != theirs["label"] or not abs(mine["score"] - theirs["score"]) <= 1e-5:
            problem(f"{row['image']}: {mine}, predict says {theirs}")


def broken(number):
    bodies = [(b"no picture", 422), (b"", 400), (b"\xff\xd8\xff\xe0" + bytes(1000), 422)]
    body, expected = bodies[number % 3]
    status, answer = post(body)
    if status != expected or not answer.get("error"):
        problem(f"a broken picture got {status}: {answer}, not {expected}")


def bomb(number):
    import struct, zlib
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 9000, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    status, answer = post(picture)
    if status != 422 or "pixels" not in answer["error"]:
        problem(f"20000 x 9000 pixels got {status}: {answer}")


def oversized(number):
    status, answer = post(bytes(most_bytes + 1000))
    if status != 413:
        problem(f"an oversized picture got {status}: {answer}")


def oversized_chunks(number):
    status, answer = post(bytes(100000) for _ in range(most_bytes // 100000 + 2))
    if status != 413:
        problem(f"an oversized picture in chunks got {status}: {answer}")


def trickle(number):
    """Until the server ends it: a byte now and then, of headers or of a body."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n")
        if number % 2:
            client.sendall(b"Content-Length: 100000\r\n\r\n")
        began = time.monotonic()
        while time.monotonic() - began < patience:
            try:
                client.sendall(b"X")
                client.settimeout(0.3)
                if client.recv(1000) == b"":
                    raise ConnectionError
            except TimeoutError:
                continue
            except OSError:
                with lock:
                    cut.append(time.monotonic() - began)
                return
        problem("a client that trickles is served for ever")


def vanish(number):
    body = open(wanted[0]["image"], "rb").read()
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        client.sendall(body if number % 2 else body[: len(body) // 2])  # gone before the answer, or in the middle


def garbage(number):
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.sendall(b"\x16\x03\x01" + bytes(range(1, 200)) + b"\r\n\r\n")
        try:
            client.recv(1000)
        except OSError:
            pass


def guarded(function, number):
    try:
        function(number)
    except Exception as error:  # a thread's exception would be lost
        problem(f"{function.__name__} {number}: {type(error).__name__}: {error}")


def start(functions):
    threads = [threading.Thread(target=guarded, args=pair, daemon=True) for pair in functions]
    for thread in threads:
        thread.start()
    return threads


slow = start([(trickle, i) for i in range(8)])
others = start([(f, i) for i in range(6) for f in (broken, vanish, garbage, bomb)] +
               [(f, i) for i in range(2) for f in (oversized, oversized_chunks)])
fast = start([(good, i) for i in range(count)])
for thread in fast + others:
    thread.join(patience)
answered = sum(not thread.is_alive() for thread in fast)
waiting = sum(thread.is_alive() for thread in slow)
for thread in slow:
    thread.join(patience)
if any(thread.is_alive() for thread in fast + others + slow):
    problem("not everybody was answered in time")
if len(cut) != len(slow):
    problem(f"{len(cut)} of {len(slow)} clients that trickle were cut off")
print(f"{answered} of {count} pictures answered, {waiting} slow clients still there then, {len(cut)} cut off")
for text in problems[:10]:
    print(text)
sys.exit(bool(problems) or answered != count)
