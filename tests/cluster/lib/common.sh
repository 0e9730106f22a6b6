# shellcheck shell=bash disable=SC2154,SC2034 # the parts share their variables
# What every other part uses: messages with the time, processes that are started, watched and stopped, and waiting.

state=${CLUSTER_DIR:-/var/tmp/mudgateway-cluster}
kubeconfig=$state/admin.kubeconfig
started_at=${EPOCHREALTIME/[.,]/}

say() {
  local now=${EPOCHREALTIME/[.,]/}
  local ms=$(((now - started_at) / 1000))
  printf '%4d.%d s  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*"
}
die() { echo "cluster: $*" >&2; exit 1; }

# step TEXT: says which of the $steps steps starts now.
step_number=0
step() { step_number=$((step_number + 1)); say "[$step_number/$steps] $*"; }

# --- processes ---------------------------------------------------------------------------------------------------------------------------------
# A pid alone is not enough to stop a process: the number may belong to another by now. So each is kept with its start time and the boot it was
# started in, and is only ever signalled while all three agree.
boot() { cat /proc/sys/kernel/random/boot_id; }
start_time() { # of a process, in clock ticks; nothing for one that has ended and only waits for its parent to notice
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra stat <<<"${stat##*) }" # the name before this may hold blanks and brackets
  [[ ${stat[0]} != [ZX] ]] && echo "${stat[19]}"
}
remember() { echo "$2 $(start_time "$2") $(boot)" >"$state/pid/$1"; } # NAME PID
pid_of() { # NAME: its pid if that process is still the one that was started
  local pid time when
  read -r pid time when 2>/dev/null <"$state/pid/$1" || return 1
  [[ $when == "$(boot)" && $time == "$(start_time "$pid")" ]] || return 1
  echo "$pid"
}

# start NAME NAMESPACE CMD...: runs CMD in the background in that network, its output in log/NAME.log.
start() {
  local name=$1 ns=$2
  shift 2
  setsid nsenter --net="/run/netns/$ns" "$@" >"$state/log/$name.log" 2>&1 </dev/null 9<&- &
  remember "$name" $!
}
# stop NAME...: kills at once. Nothing is worth a tidy end: the data goes too, and a node that is killed is meant to have no time to say so.
stop() {
  local name pid
  for name in "$@"; do
    if pid=$(pid_of "$name"); then
      kill -KILL "$pid" 2>/dev/null || true
      until_gone "$name"
    fi
    rm -f "$state/pid/$name"
  done
}
until_gone() { # a process of many threads and much memory takes a moment to go
  local _
  for _ in {1..250}; do pid_of "$1" >/dev/null || return 0; sleep 0.02; done
  die "process $1 does not end, not even when killed"
}

# wait_for SECONDS WHAT CMD...: tries CMD five times a second. Fails early when one of the cluster's processes has ended.
wait_for() {
  local seconds=$1 what=$2 file deadline=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    for file in "$state"/pid/*; do
      [[ -e $file ]] && ! pid_of "${file##*/}" >/dev/null && fail_with_log "${file##*/}" "${file##*/} ended by itself"
    done
    ((SECONDS < deadline)) || fail_with_log "${LOG:-}" "no $what after $seconds s"
    sleep 0.2
  done
}
fail_with_log() { # NAME TEXT: the end of a log says more than any message
  [[ -n $1 && -s $state/log/$1.log ]] && { echo "--- the end of $state/log/$1.log" >&2; tail -n 15 "$state/log/$1.log" | cut -c1-400 >&2; }
  die "$2 (logs: $state/log; 'down' removes everything)"
}

# --- what the machine must have ----------------------------------------------------------------------------------------------------------------
need_root() { ((EUID == 0)) || die "needs root: network namespaces and containers are made by root"; }
need_packages() {
  local program package missing=()
  while read -r program package; do
    command -v "$program" >/dev/null || [[ -e $program ]] || missing+=("$package")
  done <<'T'
containerd containerd
ctr containerd
runc runc
/usr/lib/cni/ptp containernetworking-plugins
conntrack conntrack
iptables iptables
ip iproute2
buildah buildah
openssl openssl
gcc gcc
/usr/include/stdlib.h libc6-dev
nsenter util-linux
T
  ((${#missing[@]} == 0)) || die "missing: apt-get install $(printf '%s\n' "${missing[@]}" | sort -u | xargs)"
}

# kind is used where it can be: it is what most people have. It needs a container engine that runs.
choose_backend() {
  if [[ -n ${CLUSTER_BACKEND-} ]]; then
    [[ $CLUSTER_BACKEND == netns || $CLUSTER_BACKEND == kind ]] || die "CLUSTER_BACKEND is '$CLUSTER_BACKEND'; it may be netns or kind"
    echo "$CLUSTER_BACKEND"
  elif [[ -f $state/backend ]]; then
    cat "$state/backend"
  elif command -v kind >/dev/null && docker info >/dev/null 2>&1; then
    echo kind
  else
    echo netns
  fi
}

# The state folder is marked as ours, so that `down` never removes a folder that something else filled.
make_state() {
  if [[ -e $state && ! -f $state/backend ]] && [[ -n $(ls -A "$state" 2>/dev/null) ]]; then die "$state is in use by something else; set CLUSTER_DIR"; fi
  install -d -m 700 "$state"
  [[ -O $state && ! -L $state ]] || die "$state belongs to someone else; set CLUSTER_DIR"
  mkdir -p "$state"/{pid,log,images}
  echo "$backend" >"$state/backend"
}
remove_state() {
  [[ -f $state/backend ]] && rm -rf --one-file-system "$state"
  return 0
}
tool_path() { "$here/tools/build" --path "$@"; }
