"""What a stack costs: a dated table of prices, what is paid for each month, and what each million events adds."""
