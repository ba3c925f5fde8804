// Calls the coordinator's health and membership services with grpc-js. Usage: node grpc-client.mjs HOST:PORT PROTOCOL_VERSION PROTO_FOLDER...
// Prints one JSON object with what came back.
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const [address, version, ...protoFolders] = process.argv.slice(2);
const definition = protoLoader.loadSync(['health.proto', 'membership.proto'], {
  includeDirs: protoFolders, keepCase: true, longs: String, enums: String, defaults: true,
});
const { grpc: standard, llamacluster } = grpc.loadPackageDefinition(definition);
const deadline = () => ({ deadline: Date.now() + 20_000 });
const credentials = grpc.credentials.createInsecure();
const health = new standard.health.v1.Health(address, credentials);
const membership = new llamacluster.v1.Membership(address, credentials);

const call = (client, method, request) => new Promise(resolve =>
  client[method](request, deadline(), (error, reply) => resolve(error ? { code: error.code, details: error.details } : reply)));

const watchOnce = request => new Promise(resolve => {
  const stream = health.Watch(request, deadline());
  stream.once('data', reply => { resolve(reply); stream.cancel(); });
  stream.once('error', error => resolve({ code: error.code, details: error.details }));
});

// A worker tells of a change of its state at once, but on a stream of its own.
const listReadyWorkers = async () => {
  for (const { deadline: end } = deadline(); ;) {
    const reply = await call(membership, 'ListWorkers', {});
    if (!reply.workers || Date.now() > end || reply.workers.every(worker => worker.state === 'WORKER_STATE_READY')) return reply;
  }
};

const result = {
  alive: await call(health, 'Check', { service: '' }),
  ready: await call(health, 'Check', { service: 'llamacluster.ready' }),
  unknown: await call(health, 'Check', { service: 'no.such.service' }),
  watched: await watchOnce({ service: '' }),
  workers: await listReadyWorkers(),
  older: await call(membership, 'Register', { protocol_version: 1, name: 'stranger', address: 'http://127.0.0.1:9' }),
  refused: await call(membership, 'Register', { protocol_version: Number(version), name: 'stranger', address: 'http://127.0.0.1:9', model_digest: 'f'.repeat(64) }),
  garbage: await call(membership, 'Register', { protocol_version: 9999, name: '', address: 'not a url' }),
};
console.log(JSON.stringify(result));
health.close();
membership.close();
