"""Tables, buckets and the catalog."""
