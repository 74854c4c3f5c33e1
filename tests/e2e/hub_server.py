#!/usr/bin/env python3
"""hub_server.py FOLDER: a server of Hugging Face's layout on this machine, for tests/e2e/test_hub.sh, and a second one for
large files, as theirs has. Prints the first one's port and serves FOLDER's model.safetensors and config.json as those of
OWNER/anything; the OWNER says how it misbehaves (below). FOLDER/log has a line for each request.

SPDX-License-Identifier: Apache-2.0"""

import hashlib
import http.server
import json
import pathlib
import sys
import threading
import time

folder = pathlib.Path(sys.argv[1])
COMMIT = "0123456789abcdef0123456789abcdef01234567"
files = {name: (folder / name).read_bytes() for name in ("model.safetensors", "config.json") if (folder / name).exists()}
tries, lock = {}, threading.Lock()


def git_sum(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None  # the port of the store of large files

    def log_message(self, *arguments):
        pass

    def answer(self, status, headers=(), data=b"", length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if length != "none":
            self.send_header("Content-Length", str(len(data) if length is None else length))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def handle_request(self):
        with lock:
            token = self.headers.get("Authorization", "-")
            with open(folder / "log", "a") as log:
                log.write(f"{'hub' if self.store else 'store'} {self.command} {self.path} {token} "
                          f"{self.headers.get('Range', '-')}\n")
            number = tries[self.path, self.command, bool(self.store)] = tries.get(
                (self.path, self.command, bool(self.store)), 0) + 1
        try:
            self.hub(number) if self.store else self.large(number)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = handle_request

    def hub(self, number):
        """/OWNER/NAME/resolve/REVISION/FILE"""
        parts = self.path.strip("/").split("/")
        if parts[0] == "kept":  # where a small file's request is sent to on the same server
            return self.answer(200, [("ETag", f'"{git_sum(files[parts[1]])}"'), ("X-Repo-Commit", COMMIT)], files[parts[1]])
        owner, name, _, revision, file = parts
        if owner == "nobody":
            return self.answer(401, [("X-Error-Code", "RepoNotFound")], b"Invalid username or password.")
        if owner == "gated":
            return self.answer(403, [("X-Error-Code", "GatedRepo")])
        if owner == "private" and self.headers.get("Authorization") != "Bearer hf_secret":
            return self.answer(401)
        if owner == "failing" or (owner == "tired" and number == 1):
            return self.answer(500, [], b"<html>sorry</html>")
        if owner == "vanished":
            return self.answer(404)
        if revision not in ("main", "v2", COMMIT):
            return self.answer(404, [("X-Error-Code", "RevisionNotFound")])
        if owner == "circle":
            return self.answer(302, [("Location", self.path)])
        if owner == "torch" and file == "model.safetensors":
            return self.answer(404, [("X-Error-Code", "EntryNotFound")])
        if owner == "torch" and file == "pytorch_model.bin":
            file = "model.safetensors"  # which file it is, its bytes tell
        data = files.get(file)
        if data is None:
            return self.answer(404, [("X-Error-Code", "EntryNotFound")])
        if file == "config.json":
            return self.answer(307, [("Location", "/kept/config.json"), ("X-Repo-Commit", COMMIT)])
        headers = {"X-Repo-Commit": COMMIT, "X-Linked-Size": len(data),
                   "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                   "Location": f"http://127.0.0.1:{self.store}/{owner}/{name}/{file}"}
        if owner == "otherwise":
            headers["X-Linked-Etag"] = f'"{"0" * 64}"'
        if owner == "climbing":
            headers["X-Linked-Etag"] = '"../../../escaped"'
        if owner == "huge":
            headers["X-Linked-Size"] = 1 << 60
        if owner == "wordy":
            headers.update({f"X-More-{i}": "x" * 4000 for i in range(90)})
        if owner == "nocommit":
            headers["X-Repo-Commit"] = "../main"
        self.answer(302, headers.items())

    def large(self, number):
        owner, name, file = self.path.strip("/").split("/")
        data = files[file]
        begin = 0
        if self.headers.get("Authorization"):
            return self.answer(400, [], b"whose token is this?")
        if self.headers.get("Range") and owner not in ("ranged", "halved"):
            begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        headers = [("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")] if begin else []
        rest, status = data[begin:], 206 if begin else 200
        if owner in ("broken", "ranged") and number < 3:  # the connection ends in the middle
            self.answer(status, headers, rest[:len(rest) // 2], length=len(rest))
            self.close_connection = True
        elif owner == "halved":  # always the first half, as if it were all
            self.answer(200, [], data[:len(data) // 2])
        elif owner == "longer":
            self.answer(200, [], data + b"more", length="none")
        elif owner == "shifted" and begin:
            self.answer(206, [("Content-Range", f"bytes {begin - 1}-{len(data) - 1}/{len(data)}")], data[begin - 1:])
        elif owner == "shifted":
            self.answer(200, [], data[:1000], length=len(data))
            self.close_connection = True
        elif owner == "stalling" and number == 1:
            self.answer(200, [], data[:1000], length=len(data))
            self.wfile.flush()
            time.sleep(4)
            self.close_connection = True
        elif owner == "slow":
            time.sleep(1)
            self.answer(status, headers, rest)
        else:
            self.answer(status, headers, rest)


def serve(store):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"store": store}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


print(serve(serve(None)), flush=True)
while True:
    time.sleep(60)
