"""What AWS's services would tell CloudWatch, as far as the emulator lets it be known.

Queues are looked at, invocations and requests are read from the functions' logs, deliveries from the emulator's own
log. What can't be known is not published; each module says what that is.
"""
