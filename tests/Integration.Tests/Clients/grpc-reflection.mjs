// Lists the coordinator's services through server reflection, and calls one with nothing but what reflection said of it: no .proto file.
// Usage: node grpc-reflection.mjs HOST:PORT. Prints one JSON object with what came back.
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import reflection from 'grpc-reflection-js';

const [address] = process.argv.slice(2);
const credentials = grpc.credentials.createInsecure();
const asked = new reflection.Client(address, credentials);
const service = 'llamacluster.v1.Membership';

const services = await asked.listServices();
const described = await asked.fileContainingSymbol(service);
const methods = Object.keys(described.lookupService(service).methods);

const { llamacluster } = grpc.loadPackageDefinition(protoLoader.fromJSON(described.toJSON(), { keepCase: true, longs: String, enums: String, defaults: true }));
const membership = new llamacluster.v1.Membership(address, credentials);
const listed = await new Promise(resolve =>
  membership.ListWorkers({}, { deadline: Date.now() + 20_000 }, (error, reply) => resolve(error ? { code: error.code, details: error.details } : reply)));

console.log(JSON.stringify({ services, methods, listed }));
membership.close();
asked.grpcClient.close();
