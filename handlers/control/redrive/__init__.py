"""Redrive: dead letters back to their queue, each at most once per run, with a ledger that a crash cannot falsify.

`request` what is asked · `letter` what is on the dead-letter queue · `plan` the decisions, pure · `ledger` and `runs`
what is remembered · `inbox` and `mover` SQS · `segment` and `runner` the work · `preview` a look without touching.
"""
