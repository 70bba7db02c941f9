"""Configuration: keys, limits, the checks across keys, and the only reader of `pulumi.Config`."""
