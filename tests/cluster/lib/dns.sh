# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# Names: CoreDNS runs beside the API server, behind the usual Service address. It answers for the cluster and says of every other name that there is
# none, so a mistyped or outside name fails at once and nothing ever asks a server outside.

start_dns() {
  cat >"$state/Corefile" <<T
cluster.local in-addr.arpa {
  bind $control_plane_ip
  errors
  kubernetes {
    kubeconfig $kubeconfig test
    pods insecure
    ttl 2
  }
}
. {
  bind $control_plane_ip
  template ANY ANY {
    rcode NXDOMAIN
  }
}
T
  start coredns "$control_plane" coredns -conf "$state/Corefile"
  in_cp kubectl --kubeconfig "$kubeconfig" apply -f - >/dev/null <<T
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: kube-dns, namespace: kube-system}
  spec:
    clusterIP: $dns_ip
    ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
  addressType: IPv4
  endpoints: [{addresses: [$control_plane_ip]}]
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
T
  # What `exec` shows its command as /etc/resolv.conf; the same lines as in a pod of the default namespace.
  printf 'nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' "$control_plane_ip" >"$state/resolv.conf"
}
