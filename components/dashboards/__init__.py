"""Dashboards of Grafana, as code."""
