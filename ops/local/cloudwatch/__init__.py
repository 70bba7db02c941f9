"""The laptop's CloudWatch: what the emulator leaves out of it, beside the emulator.

Metrics of AWS's own services, metrics from logs, alarms by CloudWatch's documented rules, Logs Insights. Everything
but the sources and the daemon works on plain data, without an emulator.
"""
