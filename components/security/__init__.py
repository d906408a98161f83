"""Who may talk to whom inside the cluster."""
