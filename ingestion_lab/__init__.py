"""What the program and the functions of ingestion-lab are made of, for the programs and functions of others.

`ingestion_lab.program` has the Pulumi components, `ingestion_lab.function` what a Lambda function is written with. Both
keep their names and their meaning from one minor version to the next; everything else may change.
"""
