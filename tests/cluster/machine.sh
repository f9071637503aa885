# shellcheck shell=bash disable=SC2154,SC2001  # the addresses are cluster.sh's
# What the node needs of the machine: packages, free ports, memory, a bridge, processes that can be found and ended again.
# Sourced by the scripts beside it.
export PATH=$PATH:/usr/sbin:/sbin # a plain `su` on Debian leaves them out
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tuneloop
state=$cache/cluster
started=$(date +%s)

say() { printf 'tuneloop: %s [%4d s] %s\n' "$(date +%H:%M:%S)" $(($(date +%s) - started)) "$*" >&2; }
fail() { say "$@"; exit 1; }

wait_for() { # wait_for "what" SECONDS command…
  local what=$1 deadline=$(($(date +%s) + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt $deadline ] || fail "gave up waiting for $what; the logs are in $state/log"
    sleep 0.1
  done
}

only_one() { # only_one NAME — two runs at once take turns; what is started later must close descriptor 9, or it would hold the lock for ever
  mkdir -p "$cache"; exec 9>"$cache/$1.lock"
  flock -n 9 || { say "another run is at work on the $1; waiting for it"; flock 9; }
}

# --- packages -----------------------------------------------------------------------------------------------------------
missing_packages() {
  local need
  for need in containerd=containerd runc=runc /usr/lib/cni/bridge=containernetworking-plugins iptables=iptables ip=iproute2 \
    openssl=openssl debootstrap=debootstrap buildah=buildah docker-registry=docker-registry redis-server=redis-server curl=curl; do
    case $need in
      /*) [ -x "${need%=*}" ] || echo "${need#*=}" ;;
      *) command -v "${need%=*}" >/dev/null || echo "${need#*=}" ;;
    esac
  done
}

packages() {
  local missing; missing=$(missing_packages | xargs)
  [ "$(id -u)" = 0 ] || fail "the local cluster needs root (sudo make …)${missing:+ and these packages: $missing}"
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "these programs are missing, and only Debian's are installed by themselves: $missing"
  say "installing Debian packages: $missing"
  # shellcheck disable=SC2086  # a list of names
  install_packages $missing || fail "apt-get could not install them"
}

install_packages() { # without the services that Debian would start for some of them, on ports the cluster uses itself
  local policy=/usr/sbin/policy-rc.d code=0 one
  if [ -e $policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || code=$?
  rm -f $policy
  for one in "$@"; do [ ! -d /run/systemd/system ] || systemctl disable --quiet "$one" 2>/dev/null || true; done
  return $code
}

# --- memory, disk, ports, kernel ----------------------------------------------------------------------------------------
free_gib() { echo $(($(df --output=avail -B1 "$cache" | tail -1) >> 30)); }

resources() {
  local memory disk; memory=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo); disk=$(free_gib)
  [ "$disk" -ge 5 ] || fail "only $disk GiB of disk free at $cache; the cluster needs 5 and its images 25"
  say "$(nproc) cores, $memory GiB of memory available, $disk GiB of disk free"
  [ "$memory" -ge 10 ] || say "WARNING: two inference pods and a training pod want 10 GiB of memory"
  [ "$disk" -ge 25 ] || [ -d "$cache/buildah" ] || say "WARNING: the first build of the images wants 25 GiB of disk"
}

ports() { # what listens already would be taken for ours, or make ours die without a word
  local port taken
  for port in "$@"; do
    taken=$(ss -Hltnp "sport = :$port" | sed -n 1p)
    [ -z "$taken" ] || fail "port $port is taken, and the cluster needs it: $(sed 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1, process \2/' <<<"$taken")"
  done
}

kernel() {
  modprobe -qa overlay br_netfilter 2>/dev/null || true # built in on some kernels, and then there is no module
  sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 || fail "this kernel has no br_netfilter: Services cannot work"
}

network_up() { # a bridge, not a dummy device, which small kernels lack; it carries the node's address
  ip link show tuneloop0 >/dev/null 2>&1 || ip link add tuneloop0 type bridge
  ip addr replace "$node_ip/32" dev tuneloop0
  ip link set tuneloop0 up
  local way # a machine with Docker drops what it does not know
  for way in -s -d; do
    iptables -C FORWARD $way "$pod_net" -m comment --comment tuneloop -j ACCEPT 2>/dev/null ||
      iptables -I FORWARD $way "$pod_net" -m comment --comment tuneloop -j ACCEPT
  done
}

network_down() {
  local way link
  for way in -s -d; do iptables -D FORWARD $way "$pod_net" -m comment --comment tuneloop -j ACCEPT 2>/dev/null || true; done
  local tool chain=KUBE-FIREWALL # kube-proxy's own clean-up leaves this one
  for tool in iptables ip6tables; do
    for way in INPUT OUTPUT; do $tool -D $way -j $chain 2>/dev/null || true; done
    $tool -F $chain 2>/dev/null && $tool -X $chain
  done
  for link in tuneloop0 tuneloop1; do ip link delete $link 2>/dev/null || true; done
  rm -rf /var/lib/cni/results/tuneloop-*
}

# --- processes ----------------------------------------------------------------------------------------------------------
start() { # start NAME command…  — the command's own path or arguments name the state folder: that is how it is known again
  local name=$1; shift
  setsid nohup "$@" >"$state/log/$name.log" 2>&1 </dev/null 9>&- &
  echo "$! $(basename "$1")" >"$state/log/$name.pid"
}

alive() { # a process id may be another's after a reboot
  local pid program
  { read -r pid program <"$state/log/$1.pid" && [ "$(basename "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -1)")" = "$program" ]; } 2>/dev/null
}

stop() {
  local pid rest
  if alive "$1"; then
    read -r pid rest <"$state/log/$1.pid"
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do alive "$1" || break; sleep 0.1; done
    alive "$1" && kill -9 "$pid" 2>/dev/null
  fi
  rm -f "$state/log/$1.pid"
}

kill_pods() { # every containerd-shim of our own containerd, with the containers under it
  local entry pid
  for entry in /proc/[0-9]*/cmdline; do
    pid=$(basename "$(dirname "$entry")")
    { tr '\0' ' ' <"$entry"; } 2>/dev/null | grep -q "^[^ ]*containerd-shim-runc-v2 .*-address $state/containerd/containerd.sock" || continue
    # shellcheck disable=SC2046
    kill -9 $(cat /proc/"$pid"/task/*/children 2>/dev/null) "$pid" 2>/dev/null || true
  done
}

unmount_pods() {
  awk -v inside="$state/" 'index($2, inside) == 1 {print $2}' /proc/mounts | sort -r | while read -r place; do umount -l "$place" || true; done
}

remove_cgroups() { # only empty ones can be removed, so another's are safe
  find /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods -depth -type d -exec rmdir {} \; 2>/dev/null || true
}
