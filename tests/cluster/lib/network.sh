# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# The network: one namespace for the control plane with a bridge in it, one for each node, joined by a virtual cable. None has a way out to the
# machine or beyond, so no test can reach anything outside. The addresses are ones set aside for examples and benchmarks (RFC 5737, RFC 2544).

control_plane=mudgw-cp
control_plane_ip=192.0.2.1
service_network=10.96.0.0/16
kubernetes_ip=10.96.0.1
dns_ip=10.96.0.10
pod_network=198.18.0.0/16

node_ns() { echo "mudgw-node$1"; }
node_ip() { echo "192.0.2.$((10 + $1))"; }
pods_of() { echo "198.18.$1.0/24"; }
in_ns() { local ns=$1; shift; nsenter --net="/run/netns/$ns" "$@"; }
in_cp() { in_ns "$control_plane" "$@"; }
# Whether this very command runs in the control plane's network, so by `exec`.
inside() { [[ -e /run/netns/$control_plane && $(stat -Lc %i /proc/self/ns/net) == "$(stat -Lc %i "/run/netns/$control_plane")" ]]; }

# /proc/sys/net is that of the network one is in.
forward_packets() { in_ns "$1" bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'; }

make_control_plane_network() {
  ip netns add "$control_plane"
  in_cp ip link set lo up
  in_cp ip link add nodes type bridge
  in_cp ip addr add "$control_plane_ip/24" dev nodes
  in_cp ip link set nodes up
  forward_packets "$control_plane"
}

# make_node_network N NODES: every node knows the way to the pods of every other.
make_node_network() {
  local n=$1 other ns
  ns=$(node_ns "$n")
  ip netns add "$ns"
  in_ns "$ns" ip link set lo up
  ip link add "cable$n" netns "$control_plane" type veth peer name eth0 netns "$ns"
  in_cp ip link set "cable$n" master nodes up
  in_ns "$ns" ip addr add "$(node_ip "$n")/24" dev eth0
  in_ns "$ns" ip link set eth0 up
  in_ns "$ns" ip route add default via "$control_plane_ip"
  forward_packets "$ns"
  in_cp ip route add "$(pods_of "$n")" via "$(node_ip "$n")"
  for other in $(seq "$2"); do
    ((other == n)) || in_ns "$ns" ip route add "$(pods_of "$other")" via "$(node_ip "$other")"
  done
}

# The control plane has no kube-proxy. It reaches Services through the first node that is on, whose kube-proxy picks a pod and, as the caller is no
# pod, puts the node's own address in place of the caller's, so that answers come back the same way. This is also how the API server calls webhooks.
route_services() {
  local n
  for n in $(nodes); do
    if node_is_on "$n"; then
      in_cp ip route replace "$service_network" via "$(node_ip "$n")"
      return
    fi
  done
  in_cp ip route del "$service_network" 2>/dev/null || true
}

# With a namespace go its end of every cable and all its routes and rules. The kernel does that a moment later, by itself.
remove_network() {
  local ns
  for ns in $(ip netns list | awk '$1 ~ /^mudgw-(cp|node[0-9]+)$/ {print $1}'); do ip netns del "$ns"; done
}
