"""The price lists, asked of AWS anew."""
