"""The rehearsal: the real program against an embedded control plane with simulated nodes."""
