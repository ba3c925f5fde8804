#!/bin/bash
# @grpc/grpc-js 1.14.7 (npm): a stream that was destroyed, as for await does on break and pipeline() does on an error, leaves its call open. The other side is not told.
#
# A call that streams is a Node stream, on the client and in the server's handler. Node destroys a stream when a loop over it is left, and when a pipeline that it is part of
# fails. grpc-js does not end the call then. So a reader that has enough and leaves the loop leaves the server to make every further piece: a model that writes on for nobody.
# And a server that passes pieces on by pipeline(source, call), whose source then fails, sends no status. Its client has a part of the answer and waits for the rest until
# its deadline, which by default is none. Neither side gets an error where it happened, nor a warning.
# Why one would guess otherwise: the documentation of Node's streams says that leaving the loop destroys the stream, which is to release what it holds, and pipeline() is
# its way to pass an error on. Node's own http2, on which grpc-js stands, ends the stream for both sides in both cases. The package's README says nothing of either.
# That destroy() does not end the call is known of the client's side (grpc/grpc-node issue 1238, open since 2020), and of the server's that destroy(error) sends no
# status (issue 287).
#
# Right results: the same loop and the same pipeline over Node's http2. Until then: call.cancel() before the loop is left, and call.emit("error", ...) instead of the pipeline.
#
# Seen (the server has 50 pieces, 20 ms apart; the client of a failing source waits one second at most; a status is that of gRPC):
#   reader                    pieces that the server made
#   grpc-js, break            all
#   grpc-js, cancel()         some
#   http2, break              some
#   the source fails          the client ends with
#   grpc-js, pipeline         DEADLINE_EXCEEDED
#   grpc-js, emit("error")    UNKNOWN
#   http2, pipeline           an error, before the second is over
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @grpc/grpc-js@1.14.7 > /dev/null
cat > leave.js <<'JS'
import http2 from "node:http2";
import { pipeline, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import grpc from "@grpc/grpc-js";

const pieces = 50;
const piece = Buffer.from("piece");

// Writes until there is nothing left or the other side has gone, and tells how many it made.
async function write(stream, gone) {
  let made = 0;
  while (made < pieces && !gone()) {
    stream.write(piece);
    made++;
    await sleep(20);
  }
  if (!gone()) stream.end();
  report(made);
}

async function* failing() {
  yield piece;
  await sleep(50);
  throw new Error("the model failed");
}

let report;
const made = () => new Promise((resolve) => (report = resolve));
const show = (name, count) => console.log(`${name}: ${count === pieces ? "all" : "some"}`);

const same = (bytes) => bytes;
const method = (path) => ({
  path, requestStream: false, responseStream: true,
  requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
});
const service = { tokens: method("/Model/Tokens"), piped: method("/Model/Piped"), emitted: method("/Model/Emitted") };
const server = new grpc.Server();
server.addService(service, {
  tokens: (call) => void write(call, () => call.cancelled),
  piped: (call) => void pipeline(Readable.from(failing()), call, () => {}),
  emitted: (call) => void Readable.from(failing()).on("data", (data) => call.write(data)).on("error", (error) => call.emit("error", error)),
});
const port = await new Promise((resolve, reject) =>
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
const client = new (grpc.makeGenericClientConstructor(service, "Model"))(`127.0.0.1:${port}`, grpc.credentials.createInsecure());

const plain = http2.createServer();
plain.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  stream.respond();
  if (headers[":path"] === "/tokens") write(stream, () => stream.destroyed);
  else pipeline(Readable.from(failing()), stream, () => {});
});
await new Promise((resolve) => plain.listen(0, "127.0.0.1", resolve));
const session = http2.connect(`http://127.0.0.1:${plain.address().port}`);

async function leave(name, stream, end) {
  const count = made();
  stream.on("error", () => {});
  for await (const _ of stream) {
    end?.();
    break;
  }
  show(name, await count);
}

let call = client.tokens(piece);
await leave("grpc-js, break", call);
call = client.tokens(piece);
await leave("grpc-js, cancel", call, () => call.cancel());
await leave("http2, break", session.request({ ":path": "/tokens" }));

for (const name of ["piped", "emitted"]) {
  const call = client[name](piece, { deadline: Date.now() + 1000 });
  call.on("error", () => {}).resume();
  const status = await new Promise((resolve) => call.on("status", resolve));
  console.log(`grpc-js, ${name}: ${grpc.status[status.code]}`);
}
const request = session.request({ ":path": "/piped" });
const end = await Promise.race([
  new Promise((resolve) => request.on("error", () => resolve("an error")).on("end", () => resolve("an end")).resume()),
  sleep(1000, "nothing"),
]);
console.log(`http2, piped: ${end}`);

process.exit();   // with all that is still open
JS

seen=$(timeout 60 node leave.js)
echo "$seen"
[ "$seen" = "grpc-js, break: all
grpc-js, cancel: some
http2, break: some
grpc-js, piped: DEADLINE_EXCEEDED
grpc-js, emitted: UNKNOWN
http2, piped: an error" ] || { echo "the behaviour has changed"; exit 1; }
echo "a destroyed stream of grpc-js still leaves its call open"
