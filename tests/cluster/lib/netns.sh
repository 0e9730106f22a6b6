# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# The commands where no container engine runs: control plane and nodes as plain processes in namespaces.

netns_up() {
  local count=${1:-1} steps=7 n kwok=0 tools=(kube-apiserver etcd kubectl helm)
  need_root
  need_packages
  inside && die "'up' does not work inside 'exec'"
  if [[ $count == --control-plane ]]; then
    count=0 steps=3
  elif [[ $count == --kwok ]]; then
    count=0 steps=4 kwok=${2:-1}
    tools+=(kube-controller-manager kube-scheduler kwok)
  else
    tools+=(kube-controller-manager kube-scheduler kubelet kube-proxy coredns)
  fi
  if [[ -e $state/backend ]]; then say "a cluster is there already: it is replaced"; fi
  remove_all
  make_state

  step "tools"
  PATH=$(tool_path "${tools[@]}"):$PATH
  step "network and keys"
  make_control_plane_network
  make_keys
  give_token admin admin system:masters
  give_token controller-manager system:kube-controller-manager
  give_token scheduler system:kube-scheduler
  give_token kube-proxy system:kube-proxy
  give_token kwok kwok system:masters
  give_token operator "$operator_user"
  for n in $(seq "$count"); do
    make_node_network "$n" "$count"
    make_node "$n"
  done
  step "etcd and kube-apiserver"
  start_api
  if ((count)); then
    # Both take some seconds and neither needs the other, so the nodes start while the API server does.
    step "containerd on $count node(s)"
    make_pause_image
    for n in $(seq "$count"); do boot_node "$n"; done
  fi
  LOG=kube-apiserver wait_for 60 "answer from kube-apiserver" api_is_ready
  if ((kwok)); then
    step "controllers, and $kwok node(s) that kwok plays"
    start_controllers
    start_kwok "$kwok"
    LOG=kwok wait_for 60 "ready node" kwok_is_ready "$kwok"
    count=$kwok
  elif ((count)); then
    step "controllers and DNS"
    start_controllers
    start_dns
    step "kubelet and kube-proxy on $count node(s)"
    for n in $(seq "$count"); do start_kubelet "$n"; done
    route_services
    step "waiting for the node(s) to be ready"
    for n in $(seq "$count"); do
      LOG=kubelet$n wait_for 60 "ready node $n" node_is_ready "$n"
      LOG=kube-proxy$n wait_for 30 "Services on node $n" node_has_services "$n"
    done
    LOG=kube-controller-manager wait_for 30 "service account" in_cp kubectl --kubeconfig "$kubeconfig" get serviceaccount default
  fi
  say "up: Kubernetes $(in_cp kubectl --kubeconfig "$kubeconfig" version -o json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | tail -1), $count node(s)"
}

netns_down() {
  need_root
  inside && die "'down' does not work inside 'exec'"
  remove_all
  say "down: nothing is left"
}

# Safe to run at any time, over anything from nothing to half a cluster.
remove_all() {
  local n
  for n in $(nodes); do stop_node "$n"; done
  stop coredns kwok kube-scheduler kube-controller-manager kube-apiserver etcd
  remove_cgroups 'mudgw-node*'
  remove_network
  remove_state
}

need_cluster() { need_root; pid_of kube-apiserver >/dev/null || die "no cluster is up; start one with '$0 up'"; }

netns_status() {
  local file
  if [[ ! -f $state/backend ]]; then echo "no cluster"; return 1; fi
  need_root
  for file in "$state"/pid/*; do
    [[ -e $file ]] && printf '%-26s %s\n' "${file##*/}" "$(pid_of "${file##*/}" >/dev/null && echo "runs" || echo "has ended")"
  done
  pid_of kube-apiserver >/dev/null || return 1
  netns_exec kubectl get nodes -o wide
}

netns_load() {
  local image name n files=()
  need_cluster
  [[ -n $(nodes) ]] || die "this cluster has no nodes to load an image on"
  for image in "$@"; do
    name=$(full_name "$image")
    save_image "$name"
    files+=("$(image_file "$name")")
  done
  for n in $(nodes); do
    if node_is_on "$n"; then import_images "$n" "${files[@]}"; fi
  done
  say "loaded $*"
}

# The command gets the control plane's network and, when the cluster has DNS, a resolv.conf of its own. It may itself call this script to kill and
# revive nodes, so nothing else of its surroundings is changed.
netns_exec() {
  need_cluster
  local path
  path=$(tool_path kubectl helm)
  # shellcheck disable=SC2016 # expanded by the inner shell
  PATH=$path:$PATH KUBECONFIG=$kubeconfig exec nsenter --net="/run/netns/$control_plane" unshare --mount bash -c '
    [[ ! -f $0 || ! -e /etc/resolv.conf ]] || mount --bind "$0" /etc/resolv.conf
    exec "$@"' "$state/resolv.conf" "$@"
}

netns_kubeconfig() { echo "$kubeconfig"; }

# The cable goes first: processes that die on a live network say goodbye to their peers, and a power cut does not.
netns_kill_node() {
  need_cluster
  node_exists "$1"
  in_cp ip link set "cable$1" down
  stop_node "$1"
  route_services
  say "node $1 is off"
}

netns_revive_node() {
  need_cluster
  node_exists "$1"
  if node_is_on "$1"; then say "node $1 is on already"; return; fi
  PATH=$(tool_path kubelet kube-proxy kubectl):$PATH
  in_cp ip link set "cable$1" up
  boot_node "$1"
  start_kubelet "$1"
  route_services
  say "node $1 is on; it is ready in some seconds"
}
