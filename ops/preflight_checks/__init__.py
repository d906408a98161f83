"""What `vp preflight` asks AWS: one capability a file, one function a check."""
