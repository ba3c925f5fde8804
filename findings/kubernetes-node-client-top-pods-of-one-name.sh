#!/bin/bash
# @kubernetes/client-node 2.0.1 and 1.4.0 (npm): topPods() over all namespaces gives pods of one name in different namespaces the same usage, namely one of theirs.
#
# topPods(api, metrics) is the library's kubectl top pods: each pod with the CPU and memory that it uses, asks for and may have. Without a namespace it lists all pods.
# It then looks for a pod's usage by the pod's name alone, and of several with one name the last in the list counts for all. Pods of a StatefulSet have the same names
# wherever it is installed: worker-0 of production and worker-0 of a test. A worker at its limit reads as idle, or an idle one as full. Where only one of two
# has usage yet, because the other has just been made, the other has that too. No error and no warning.
# Why one would guess otherwise: a name is unique within a namespace only, both lists say the namespace of each entry, and the pod's requests and limits beside the
# usage are its own. With a namespace given, each call is right, and so it is for pods of a Deployment, whose names have a random end.
#
# Right result: as with a namespace, and as kubectl top pods --all-namespaces does: each pod its own. Until then call it once per namespace.
#
# Seen, with both versions (production's worker-0 uses 3.5 cores and 900 MiB, test's 0.01 and 20 MiB, staging's was made a moment ago and has no usage yet;
# proxy-7d9f is a name that is there once):
#                         one call for all namespaces     a call for each namespace
#   production/worker-0   0.01 cores, 20 MiB              3.5 cores, 900 MiB
#   staging/worker-0      0.01 cores, 20 MiB              0 cores, 0 MiB
#   test/worker-0         0.01 cores, 20 MiB              0.01 cores, 20 MiB
#   test/proxy-7d9f       0.2 cores, 64 MiB               0.2 cores, 64 MiB
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export npm_config_cache="$folder/npm" TMPDIR="$folder"

# Version 2 needs a newer Node than many machines have, so Node comes along.
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund second@npm:@kubernetes/client-node@2.0.1 first@npm:@kubernetes/client-node@1.4.0 node@24.21.0 > /dev/null
cat > top.js <<'JS'
import http from "node:http";

// Each pod, and its usage if there is any.
const all = [
  ["production", "worker-0", { cpu: "3500m", memory: "900Mi" }],
  ["staging", "worker-0"],
  ["test", "worker-0", { cpu: "10m", memory: "20Mi" }],
  ["test", "proxy-7d9f", { cpu: "200m", memory: "64Mi" }],
].map(([namespace, name, usage]) => ({ metadata: { namespace, name }, usage }));
const container = { name: "main", resources: { requests: { cpu: "4", memory: "1Gi" } } };

const server = http.createServer(({ url }, response) => {
  const namespace = /namespaces\/([^/]+)\//.exec(url)?.[1];
  const here = all.filter((pod) => !namespace || pod.metadata.namespace === namespace);
  const items = url.startsWith("/apis/metrics.k8s.io/")
    ? here.filter(({ usage }) => usage).map(({ metadata, usage }) => ({ metadata, containers: [{ name: "main", usage }] }))
    : here.map(({ metadata }) => ({ metadata, spec: { containers: [container] }, status: { phase: "Running" } }));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ kind: "List", apiVersion: "v1", metadata: {}, items }));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

for (const version of ["second", "first"]) {
  const { CoreV1Api, KubeConfig, Metrics, topPods } = await import(version);
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: "cluster", server: `http://127.0.0.1:${server.address().port}`, skipTLSVerify: true }, { name: "user" });
  const api = config.makeApiClient(CoreV1Api);
  const metrics = new Metrics(config);
  const lines = (pods) => pods.map(({ Pod: { metadata }, CPU, Memory }) =>
    `${metadata.namespace}/${metadata.name} ${Number(CPU.CurrentUsage)} ${Number(Memory.CurrentUsage) / 2 ** 20}`);

  const together = lines(await topPods(api, metrics));
  const alone = [];
  for (const namespace of ["production", "staging", "test"]) alone.push(...lines(await topPods(api, metrics, namespace)));
  console.log(`together: ${together.join(", ")}\nalone: ${alone.join(", ")}`);
}
server.close();
server.closeAllConnections();
JS

seen=$(timeout 60 node_modules/.bin/node top.js)
echo "$seen"
one="together: production/worker-0 0.01 20, staging/worker-0 0.01 20, test/worker-0 0.01 20, test/proxy-7d9f 0.2 64
alone: production/worker-0 3.5 900, staging/worker-0 0 0, test/worker-0 0.01 20, test/proxy-7d9f 0.2 64"
[ "$seen" = "$one
$one" ] || { echo "the behaviour has changed"; exit 1; }
echo "topPods still gives pods of one name the usage of one of them"
