"""What runs on AWS: Pulumi component resources and the pure data behind them."""
