"""Limits of AWS that configuration and components both keep to. Times in seconds."""

DAY = 86_400
MAX_RETENTION = 14 * DAY
LONGEST_EVALUATION = 7 * DAY  # of an alarm; a day where its periods are shorter than an hour
MAX_VISIBILITY = 43_200
MAX_MESSAGE_BYTES = 1_048_576  # of SQS, attributes included
MAX_TIMEOUT = 900
MAX_WINDOW = 300
API_TIMEOUT = 29  # of a function behind the API, which gives up after 30: the answer to a slow AWS is still our own 503
MAX_RECEIVE_COUNT = 1000
MAX_BATCH = 10_000
MAX_BATCH_WITHOUT_WINDOW = 10
MAX_CONCURRENCY = 1000
MIN_CONCURRENCY = 2  # of an event source mapping
MIN_POLLERS = 2  # of an event source mapping in provisioned mode
MAX_MINIMUM_POLLERS = 200
MAX_POLLERS = 2000  # of the provider; Lambda takes up to 10,000
POLLER_CONCURRENCY = 10  # invocations of one poller at once
MAX_REDRIVES = 10  # Lambda takes what comes through SQS to the same function about 16 times for a loop, and stops it


def least_visibility(consumer_timeout: int, batching_window: int) -> int:
    """Six time-outs plus the window (AWS's advice), so that a throttled batch is not redelivered mid-retry."""
    return 6 * consumer_timeout + batching_window
