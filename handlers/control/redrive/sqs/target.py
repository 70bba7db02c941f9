"""The queues that a redrive goes between, by pipeline."""

from dataclasses import dataclass

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError

DEFAULT_PIPELINE = "events"


@dataclass(frozen=True, slots=True)
class Target:
    """A pipeline's main queue and dead-letter queue."""

    pipeline: str
    queue_url: str
    dlq_url: str

    @property
    def fifo(self) -> bool:
        """Whether the queues keep order (SQS asks for the suffix, and that both be of one kind)."""
        return self.dlq_url.endswith(".fifo")


def parse(text: str) -> dict[str, Target]:
    """Reads ``{"<pipeline>": {"queueUrl", "dlqUrl"}}``.

    Raises:
        SchemaValidationError: it is not that.
    """
    queues = jsontext.parse(text)
    if not isinstance(queues, dict) or not queues:
        raise SchemaValidationError(Detail("", "must be an object with a pipeline or more"))
    return {
        name: Target(name, _url(name, urls, "queueUrl"), _url(name, urls, "dlqUrl")) for name, urls in queues.items()
    }


def _url(pipeline: str, urls: jsontext.Json, name: str) -> str:
    url = urls.get(name) if isinstance(urls, dict) else None
    if not isinstance(url, str) or not url:
        raise SchemaValidationError(Detail(f"/{pipeline}/{name}", "must be a queue's URL"))
    return url
