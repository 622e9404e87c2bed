// The backend of the client cases, with Node's ws. backends/README.md says what it does.
//
// echo.mjs [CERTIFICATE KEY CLIENT]: with TLS, and only for who shows the certificate CLIENT or one that it has signed.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { WebSocketServer } from "ws";

const FILES = {
  page: ["text/html", "<!doctype html><title>interop</title>"],
  "cases.mjs": ["text/javascript", readFileSync(new URL("../clients/cases.mjs", import.meta.url))],
};
const ends = new Map();

/** The code and reason with which the connection of that name ended. */
function endOf(name) {
  if (!ends.has(name)) ends.set(name, Promise.withResolvers());
  return ends.get(name);
}

const options = {
  noServer: true,
  maxPayload: 0,
  handleProtocols: (offered) => (offered.has("interop.v2") ? "interop.v2" : false),
};
const compressing = new WebSocketServer({ ...options, perMessageDeflate: { threshold: 0 } });
const plain = new WebSocketServer({ ...options, perMessageDeflate: false });

const [cert, key, ca] = process.argv.slice(2).map((file) => readFileSync(file));
const create = cert ? (serve) => createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, serve) : createServer;
const http = create((request, response) => {
  const file = FILES[request.url.split("?")[0].split("/").pop()];
  // Browsers ask for an icon.
  if (!file) return response.writeHead(404).end();
  const [kind, body] = file;
  response.writeHead(200, { "content-type": kind, "set-cookie": "heart=beats; Path=/" }).end(body);
});
http.on("upgrade", (request, socket, head) => {
  const query = new URL(request.url, "http://upstream").searchParams;
  const server = query.has("plain") ? plain : compressing;
  server.handleUpgrade(request, socket, head, (peer) => onConnection(peer, request, query.get("id")));
});

function onConnection(peer, request, id) {
  const subject = request.headers["x-client-subject"];
  if (subject) console.log("subject", subject);
  const pongs = [];
  peer.on("pong", (payload) => pongs.push(payload.toString()));
  peer.on("error", (error) => console.log("error", error.message));
  peer.on("close", (code, reason) => id && endOf(id).resolve([code, reason.toString()]));
  peer.on("message", (data, binary) => {
    const text = binary ? "" : data.toString();
    if (text.startsWith("!")) obey(peer, request, pongs, JSON.parse(text.slice(1)));
    else peer.send(data, { binary });
  });
}

function obey(peer, request, pongs, command) {
  const say = (answer) => peer.send(JSON.stringify(answer));
  switch (command.do) {
    case "about":
      return say({ url: request.url, cookie: request.headers.cookie ?? null, compressed: peer.extensions !== "" });
    case "ping":
      peer.on("pong", (payload) => payload.toString() === command.payload && say({ pong: command.payload }));
      return peer.ping(command.payload);
    case "pong":
      peer.pong(command.payload);
      return peer.send("ponged");
    case "pongs":
      return say(pongs);
    case "fragments":
      return command.parts.forEach((part, at) => peer.send(part, { fin: at === command.parts.length - 1 }));
    case "close":
      return peer.close(command.code, command.reason);
    case "ended":
      return endOf(command.id).promise.then(say);
  }
}

http.listen(0, "127.0.0.1", () => console.log("listening", http.address().port));
