"""backend.py: takes WebSockets, says in one text frame what it was told of the client, and waits for the end.

What comes is a PROXY line or none, then the request. Nothing else reads it, so that nothing else has an
opinion of it.
"""

import base64
import hashlib
import json
import socketserver


class Told(socketserver.StreamRequestHandler):
    timeout = 60

    def handle(self):
        lines = []
        while line := self.rfile.readline().rstrip(b"\r\n").decode("latin-1"):
            lines.append(line)
        proxy = lines.pop(0) if lines[0].startswith("PROXY ") else None
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        key = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        text = json.dumps({"proxy": proxy, "fields": fields}).encode()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            + b"\x81\x7e"
            + len(text).to_bytes(2, "big")
            + text
        )
        while self.rfile.read(4096):
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Told) as server:
    print(f"listening {server.server_address[1]}", flush=True)
    server.serve_forever()
