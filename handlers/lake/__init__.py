"""The lake pipeline: bronze objects cut into chunks, chunks turned into Parquet."""
