"""What the operator and the kubelet ask; read-only."""
