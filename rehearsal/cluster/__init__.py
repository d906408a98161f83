"""The rehearsal cluster: a real Kubernetes control plane on loopback whose nodes are simulated by KWOK."""
