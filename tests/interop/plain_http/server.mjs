// An HTTP server for what is not a WebSocket: bodies either way, Expect, server-sent events.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

const LARGE = 256 << 20;
const BLOCK = Buffer.alloc(64 << 10, (1 << 10).toString());
let connections = 0;
const events = Promise.withResolvers();

function onRequest(request, response) {
  const { method, url, headers } = request;
  if (url === "/hello") return response.end("hello, heart\n");
  if (url === "/connection") return response.end(String(request.socket.number));
  if (url === "/large") return download(response);
  if (url === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.flushHeaders();
    return events.resolve(response);
  }
  if (url.startsWith("/emit/")) {
    const beat = url.slice(6);
    return events.promise.then((stream) => response.end(String(stream.write(`id: ${beat}\ndata: beat ${beat}\n\n`))));
  }
  if (url === "/end") {
    return events.promise.then((stream) => stream.end(() => response.end()));
  }
  if (url === "/upload") {
    const hash = createHash("sha256");
    let size = 0;
    request.on("data", (block) => {
      size += block.length;
      hash.update(block);
    });
    request.on("end", () => {
      const answer = { method, size, sha256: hash.digest("hex") };
      answer.length = headers["content-length"] ?? null;
      answer.coding = headers["transfer-encoding"] ?? null;
      answer.expect = headers.expect ?? null;
      response.end(JSON.stringify(answer));
    });
    return undefined;
  }
  return response.writeHead(404).end("no such thing\n");
}

function download(response) {
  response.writeHead(200, { "content-length": LARGE });
  let left = LARGE / BLOCK.length;
  const write = () => {
    while (left > 0) {
      left--;
      if (!response.write(BLOCK)) return response.once("drain", write);
    }
    return response.end();
  };
  write();
}

const http = createServer(onRequest);
http.on("connection", (socket) => (socket.number = ++connections));
http.on("checkContinue", (request, response) => {
  if (request.url === "/refuse") return response.writeHead(417, { connection: "close" }).end("not that\n");
  response.writeContinue();
  return onRequest(request, response);
});
http.listen(0, "127.0.0.1", () => console.log("listening", http.address().port));
