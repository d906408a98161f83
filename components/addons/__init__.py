"""What this program installs on a cluster, one file a product."""
