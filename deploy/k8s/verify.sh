#!/usr/bin/env bash
# Checks a LlamaCluster that was applied to a real cluster, step by step, and ends with an answer from its model.
# Usage: deploy/k8s/verify.sh NAMESPACE [SECONDS to wait for the model, 1800]
# Put a key of the API, one for inference, into LLAMACLUSTER_API_KEY.
set -u -o pipefail

namespace=${1:?usage: deploy/k8s/verify.sh NAMESPACE [SECONDS]}
longest=${2:-1800}
pods="app.kubernetes.io/name=llamacluster"
failed=0

say() { printf '%-6s %s\n' "$1" "$2"; }
fail() { say FAIL "$1"; failed=1; }
k() { kubectl -n "$namespace" "$@"; }

command -v kubectl > /dev/null || { say FAIL "no kubectl in PATH"; exit 1; }
k get pods -l "$pods" -o name > /dev/null || { say FAIL "namespace $namespace cannot be read"; exit 1; }

# 1 The pods are there, were given nodes and have their volumes.
count=$(k get pods -l "$pods" -o name | wc -l)
if [ "$count" -gt 1 ]; then say ok "$count pods"; else fail "only $count pods: is an overlay applied to $namespace?"; exit 1; fi
for secret in llamacluster-join llamacluster-api-keys; do
  k get secret "$secret" -o name > /dev/null && say ok "secret $secret" || fail "no secret $secret: pods wait for it; docs/kubernetes.md says how it is made"
done
pending=$(k get pods -l "$pods" --field-selector=status.phase=Pending -o name)
[ -z "$pending" ] || fail "no node or no volume for: $(echo $pending); see 'kubectl -n $namespace describe $(echo "$pending" | head -1)'"

# 2 They keep what the manifests say: another user than root, no write to the root filesystem, limits like requests.
for pod in $(k get pods -l "$pods" -o name); do
  spec=$(k get "$pod" -o jsonpath='{.spec.securityContext.runAsNonRoot} {.spec.containers[0].securityContext.readOnlyRootFilesystem} {.status.qosClass}')
  [ "$spec" = "true true Guaranteed" ] && say ok "$pod is restricted" || fail "$pod: runAsNonRoot, readOnlyRootFilesystem and class are '$spec', not 'true true Guaranteed'"
done

# 3 The coordinator becomes ready: all workers have registered and hold their weights.
if k wait --for=condition=Ready pod -l "$pods,app.kubernetes.io/component=coordinator" --timeout="${longest}s" > /dev/null; then
  say ok "coordinator ready"
else
  fail "no ready coordinator after $longest s; what it waits for:"
  k logs -l "$pods,app.kubernetes.io/component=coordinator" --tail=5
fi

# 4 Nothing was killed on the way.
for pod in $(k get pods -l "$pods" -o name); do
  last=$(k get "$pod" -o jsonpath='{.status.containerStatuses[0].lastState.terminated.reason}')
  [ -z "$last" ] && say ok "$pod never restarted" || fail "$pod was ended before: $last"
done

# 5 The Service answers, through the API server's own way to it.
proxy="/api/v1/namespaces/$namespace/services/llamacluster:http/proxy"
if ready=$(kubectl get --raw "$proxy/ready"); then say ok "/ready: $ready"; else fail "/ready does not answer 200"; fi

# 6 The model's name and a completion, as a client asks for them.
port=$(( 20000 + RANDOM % 20000 ))
k port-forward service/llamacluster "$port:80" > /dev/null &
forward=$!
trap 'kill "$forward" 2> /dev/null' EXIT
ask() {
  curl -s --retry 10 --retry-connrefused --retry-delay 1 --max-time 120 ${LLAMACLUSTER_API_KEY:+-H "Authorization: Bearer $LLAMACLUSTER_API_KEY"} "http://127.0.0.1:$port$1" "${@:2}"
}
models=$(ask /v1/models)
model=$(printf '%s' "$models" | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -1)
[ -n "$model" ] && say ok "serves $model" || fail "/v1/models names no model: $models"
answer=$(ask /v1/completions -H 'Content-Type: application/json' -d "{\"model\":\"$model\",\"prompt\":\"Hello\",\"max_tokens\":8}")
case $answer in
  *'"text"'*) say ok "answer: $answer" ;;
  *) fail "no answer: $answer" ;;
esac

[ "$failed" -eq 0 ] && say ok "all checks passed"
exit "$failed"
