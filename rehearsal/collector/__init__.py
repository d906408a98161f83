"""The real OpenTelemetry Collector on this machine, with a configuration of the program's, and what it reads from and writes to."""
