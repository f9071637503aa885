# shellcheck shell=bash
# Some volumes for the cluster to claim, each a folder of the node that several pods may share. Sourced by cluster.sh and choose.sh.

volumes() { # volumes FOLDER command… — the command, if any, is what runs another on the node
  local folder=$1 n; shift
  for n in $(seq 8); do # pods run as 65532, and fsGroup does nothing to a hostPath: the folder has to be theirs already
    "$@" install -d -o 65532 -g 65532 -m 2770 "$folder/$n"
  done
  released | while read -r n; do # its claim is gone: empty it, and let it be claimed again
    "$@" find "$folder/$n" -mindepth 1 -delete
    kubectl patch pv "tuneloop-local-$n" --type=json -p '[{"op": "remove", "path": "/spec/claimRef"}]' >/dev/null
  done
  for n in $(seq 8); do volume "$n" "$folder/$n"; done | kubectl apply -f - >/dev/null
}

released() {
  kubectl get pv -o jsonpath='{range .items[?(@.status.phase=="Released")]}{.metadata.name}{"\n"}{end}' | sed -n 's/^tuneloop-local-//p'
}

volume() {
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: tuneloop-local-$1}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteMany, ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: tuneloop-local
  hostPath: {path: $2, type: Directory}
YAML
}
