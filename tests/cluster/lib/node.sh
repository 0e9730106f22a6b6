# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# A node: a machine as far as Kubernetes can tell, made of three namespaces. Its network is its own; so are its processes, which all die with the
# first of them, as when the power is cut; so are /run (empty at each start), /var/lib and /var/log, so that containerd and the kubelet use their
# usual paths and leave nothing on the real machine.

nodes() { local dir; for dir in "$state"/node*/; do [[ -d $dir ]] && basename "$dir" | tr -dc '0-9\n'; done | sort -n; }
node_is_on() { pid_of "node$1" >/dev/null; }
node_exists() { [[ -d $state/node$1 ]] || die "there is no node $1 (nodes: $(nodes | xargs))"; }
in_node() { local n=$1; shift; nsenter --target "$(pid_of "node$n")" --net --mount --pid "$@"; }
start_in_node() { # NAME N CMD...
  local name=$1 n=$2
  shift 2
  start "$name$n" "$(node_ns "$n")" nsenter --target "$(pid_of "node$n")" --mount --pid "$@"
}

make_node() {
  local n=$1 dir=$state/node$1
  mkdir -p "$dir"/{cni,var-lib,var-log}
  give_token "node$n" "system:node:node$n" system:nodes
  write_node_config "$n" "$dir"
}

write_node_config() {
  local n=$1 dir=$2 snapshotter=overlayfs
  # overlayfs does not stack on itself, which matters where this machine is itself a container.
  [[ $(stat -f -c %T "$state") == overlayfs ]] && snapshotter=native
  # Without CAP_SYS_RESOURCE nothing may lower its oom_score_adj, and no pod would start; restrict_oom_score_adj takes care of that.
  cat >"$dir/containerd.toml" <<T
version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "$pause_image"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
T
  # ptp, not bridge: every packet of a pod then goes through the node's routing and so through kube-proxy's rules, without the module br_netfilter.
  cat >"$dir/cni/10-pods.conflist" <<T
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(pods_of "$n")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
T
  # The intervals are short so that tests need not wait: a node is missed within 10 s, a changed Secret reaches its volume within 5 s.
  cat >"$dir/kubelet.yaml" <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /mudgw-node$n
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
clusterDNS: [$dns_ip]
clusterDomain: cluster.local
resolvConf: ""
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 8
syncFrequency: 5s
T
  cat >"$dir/proxy.yaml" <<T
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $state/kube-proxy.kubeconfig}
hostnameOverride: node$n
clusterCIDR: $pod_network
conntrack: {maxPerCore: 0, min: 0, tcpCloseWaitTimeout: 0s, tcpEstablishedTimeout: 0s}
T
}

# boot_node N: everything that does not need the API server.
boot_node() {
  local n=$1 dir=$state/node$1 parent
  make_cgroups "$n"
  # shellcheck disable=SC2016 # expanded by the inner shell
  start "node$n" "$(node_ns "$n")" unshare --mount --pid --fork --mount-proc bash -ec '
    mount -t tmpfs tmpfs /run
    mount --bind "$1/var-lib" /var/lib
    mount --bind "$1/var-log" /var/log
    exec "$2"' node "$dir" "$state/init"
  parent=$(pid_of "node$n")
  LOG=node$n wait_for 10 "first process on node $n" first_process "$parent"
  remember "node$n" "$(child "$parent")"
  start_in_node containerd "$n" containerd -c "$dir/containerd.toml"
  LOG=containerd$n wait_for 30 "containerd on node $n" in_node "$n" ctr version
  import_images "$n"
}
child() { cut -d' ' -f1 "/proc/$1/task/$1/children"; }
# True once the script above has made its mounts and has given way to init.
first_process() { [[ $(readlink "/proc/$(child "$1")/exe") == "$state/init" ]]; }

start_kubelet() { # and kube-proxy
  local n=$1 dir=$state/node$1
  start_in_node kubelet "$n" kubelet --config="$dir/kubelet.yaml" --kubeconfig="$state/node$n.kubeconfig" --hostname-override="node$n" \
    --node-ip="$(node_ip "$n")" --node-labels="test-node=$n"
  start_in_node kube-proxy "$n" kube-proxy --config="$dir/proxy.yaml"
}
# Asked of the Service of the DNS, this needs kube-proxy's rules and CoreDNS.
node_has_services() { in_ns "$(node_ns "$1")" timeout 1 bash -c ": </dev/tcp/$dns_ip/53"; }
node_is_ready() { in_cp kubectl --kubeconfig "$kubeconfig" wait --for=condition=Ready "node/node$1" --timeout=1s; }

# The first process takes all the others with it, containers included, and with the last of them go the mounts.
stop_node() {
  local n=$1
  stop "node$n" "containerd$n" "kubelet$n" "kube-proxy$n"
  remove_cgroups "mudgw-node$n"
}

# --- cgroups: a folder for each node, below which the kubelet makes those of its pods ------------------------------------------------------------
make_cgroups() {
  local name=mudgw-node$1 dir file controller
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then # version 2
    dir=/sys/fs/cgroup/$name
    mkdir -p "$dir"
    for file in /sys/fs/cgroup "$dir"; do # what a folder is allowed to limit is said one by one, as some kernels refuse one or another
      for controller in $(<"$file/cgroup.controllers"); do echo "+$controller" >"$file/cgroup.subtree_control" || true; done
    done 2>/dev/null
  else # version 1: one tree for each controller
    for dir in /sys/fs/cgroup/*/; do
      [[ $dir == */unified/ ]] || mkdir -p "$dir$name"
    done
    # A new folder of this one controller is empty, and takes no process until it is told which cores and memory it has.
    for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$name/$file"; done
  fi
}
remove_cgroups() { # NAME, which may be a pattern; a process that was just killed may hold its folder for a moment
  local _
  for _ in {1..50}; do
    [[ -n $(find /sys/fs/cgroup -maxdepth 2 -type d -name "$1" -print -quit 2>/dev/null) ]] || return 0
    find /sys/fs/cgroup -depth -type d \( -path "*/$1" -o -path "*/$1/*" \) -exec rmdir {} \; 2>/dev/null || true
    sleep 0.05
  done
  die "control groups $1 cannot be removed: something still runs in them"
}
