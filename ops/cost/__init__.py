"""What a stack costs, and what a change of it costs."""
