"""What the program creates on AWS, for `cluster.kind: eks`."""
