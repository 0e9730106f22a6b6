# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# The control plane: keys, etcd, kube-apiserver, and for a whole cluster the controller manager and the scheduler.

new_key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" "${@:2}" 2>/dev/null; }
signed() { # NAME SUBJECT [EXTENSIONS]
  new_key "$1" -out "$1.csr" -subj "$2"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 -extfile <(echo "${3-}") 2>/dev/null
}
make_keys() { (
  install -d -m 700 "$state/pki"
  cd "$state/pki" || exit
  new_key ca -x509 -out ca.crt -subj /CN=mudgateway-test-ca -days 30
  signed api /CN=kube-apiserver "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$control_plane_ip,IP:$kubernetes_ip"
  signed kubelet-client /O=system:masters/CN=apiserver-kubelet-client
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
) }

# give_token NAME USER [GROUP]: people and programs prove who they are by a token, which is far less work than a certificate each.
give_token() {
  local token
  token=$1-$(openssl rand -hex 16)
  echo "$token,$2,$1${3:+,$3}" >>"$state/pki/tokens.csv"
  (umask 077 && cat >"$state/$1.kubeconfig") <<T
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$control_plane_ip:6443", certificate-authority-data: $(base64 -w0 "$state/pki/ca.crt")}}]
users: [{name: $1, user: {token: $token}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
current-context: test
T
}

# The user that the chart makes its operator; `operator.kubeconfig` is its way in.
operator_user=system:serviceaccount:mudgateway-system:mudgateway-operator

# Who asks for what, as the API server has it: of the operator only, which is what tests want to count.
make_audit_policy() {
  cat >"$state/audit-policy.yaml" <<T
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Metadata, users: ["$operator_user"]}
- {level: None}
T
}

start_api() {
  local pki=$state/pki
  make_audit_policy
  # Nothing here outlives the test, so etcd need not wait for the disk.
  start etcd "$control_plane" etcd --data-dir "$state/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
  start kube-apiserver "$control_plane" kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address="$control_plane_ip" \
    --tls-cert-file="$pki/api.crt" --tls-private-key-file="$pki/api.key" --client-ca-file="$pki/ca.crt" --token-auth-file="$pki/tokens.csv" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --service-cluster-ip-range="$service_network" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP --allow-privileged=true \
    --audit-policy-file="$state/audit-policy.yaml" --audit-log-path="$state/audit.log"
}
api_is_ready() { in_cp kubectl --kubeconfig "$kubeconfig" get --raw /readyz; }

# A node counts as lost after 10 s without a word, in place of the usual 40, to keep tests short.
start_controllers() {
  start kube-controller-manager "$control_plane" kube-controller-manager --kubeconfig="$state/controller-manager.kubeconfig" --use-service-account-credentials \
    --root-ca-file="$state/pki/ca.crt" --service-account-private-key-file="$state/pki/sa.key" --leader-elect=false \
    --flex-volume-plugin-dir="$state/flexvolumes" --node-monitor-period=1s --node-monitor-grace-period=10s --kube-api-qps=1000 --kube-api-burst=2000
  start kube-scheduler "$control_plane" kube-scheduler --kubeconfig="$state/scheduler.kubeconfig" --leader-elect=false \
    --kube-api-qps=1000 --kube-api-burst=2000
}

# kwok says in the place of kubelets that nodes are ready and pods run. Their Leases are short, as the controllers wait 10 s for a word of a node.
start_kwok() { # NODES
  local n
  for n in $(seq "$1"); do
    cat <<T
---
apiVersion: v1
kind: Node
metadata: {name: "kwok-$n", labels: {kubernetes.io/hostname: "kwok-$n", kubernetes.io/os: linux}}
status: {capacity: {cpu: "512", memory: 2Ti, pods: "1000"}, allocatable: {cpu: "512", memory: 2Ti, pods: "1000"}}
T
  done | in_cp kubectl --kubeconfig "$kubeconfig" create -f - >/dev/null
  start kwok "$control_plane" kwok --kubeconfig "$state/kwok.kubeconfig" --config "$here/lib/kwok.yaml" --manage-all-nodes --cidr 198.18.0.0/15 \
    --node-lease-duration-seconds 8
}
kwok_is_ready() {
  in_cp kubectl --kubeconfig "$kubeconfig" wait --for=condition=Ready node --all --timeout=1s
}
