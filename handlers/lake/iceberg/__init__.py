"""Silver as Apache Iceberg tables: files that workers have written become part of a table, each exactly once.

Workers write files and say so (`handlers.lake.written`); a committer behind a queue adds those of finished chunks to
tables. It alone imports this, and pyiceberg with it.
"""
