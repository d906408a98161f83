"""What is made of the numbers: rules, alerts and dashboards."""
