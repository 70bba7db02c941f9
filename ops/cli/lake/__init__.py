"""`lab lake`.

`commands` is what people type, `samples` makes rows up. A replay is run by `jobs`: `bronze` says which objects,
`replay` how one of them is replayed, `runs` how far it has come, `rights` what IAM must allow.
"""
