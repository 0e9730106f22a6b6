# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# The same commands where a container engine runs and kind is installed. kind's first worker is called NAME-worker, the next NAME-worker2.

kind_name=mudgateway
kind_node() { local n=$1; ((n == 1)) && n=; echo "$kind_name-worker$n"; }

kind_up() {
  local count=${1:-1} steps=2 n nodes='- role: control-plane'
  [[ $count == --control-plane ]] && count=0
  if kind get clusters 2>/dev/null | grep -qx "$kind_name"; then say "a cluster is there already: it is replaced"; fi
  kind_remove
  make_state
  step "tools"
  tool_path kubectl helm >/dev/null
  step "kind cluster with $count worker(s)"
  for n in $(seq "$count"); do nodes+=$'\n'"- {role: worker, labels: {test-node: \"$n\"}}"; done
  kind create cluster --name "$kind_name" --kubeconfig "$kubeconfig" --wait 120s --config - <<T
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
$nodes
T
  say "up: $count node(s)"
}

kind_remove() {
  kind delete cluster --name "$kind_name" >/dev/null 2>&1 || true
  remove_state
}
kind_down() {
  kind_remove
  say "down: nothing is left"
}
kind_status() { kind_exec kubectl get nodes -o wide; }
kind_load() { kind load docker-image --name "$kind_name" "$@"; }
kind_exec() {
  [[ -f $kubeconfig ]] || die "no cluster is up; start one with '$0 up'"
  local path
  path=$(tool_path kubectl helm)
  PATH=$path:$PATH KUBECONFIG=$kubeconfig exec "$@"
}
kind_kubeconfig() { echo "$kubeconfig"; }
kind_kill_node() { docker stop -t 0 "$(kind_node "$1")" >/dev/null && say "node $1 is off"; }
kind_revive_node() { docker start "$(kind_node "$1")" >/dev/null && say "node $1 is on; it is ready in some seconds"; }
