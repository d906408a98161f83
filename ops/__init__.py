"""What people do around `pulumi up`: check, render, rehearse, and the command `vp`."""
