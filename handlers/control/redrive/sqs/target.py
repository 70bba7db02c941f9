"""The queues that a redrive goes between, by pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from handlers import jsontext
from handlers.aws.sqs import is_fifo
from handlers.errors import Detail, SchemaValidationError
from handlers.worker import messages

DEFAULT_PIPELINE = "events"


@dataclass(frozen=True, slots=True)
class Target:
    """A pipeline's main queue and dead-letter queue, the form of their messages, and whose worker reads them."""

    pipeline: str
    queue_url: str
    dlq_url: str
    form: messages.Form = messages.PLAIN
    reader: str = ""  # "": the pipeline's own

    @property
    def keys_of(self) -> str:
        """The pipeline in whose scope the letters' keys are."""
        return self.reader or self.pipeline

    @property
    def fifo(self) -> bool:
        """Whether the queues keep order (SQS asks for the suffix, and that both be of one kind)."""
        return is_fifo(self.dlq_url)


def parse(
    text: str,
    forms: Mapping[str, messages.Form] = MappingProxyType({}),
    readers: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Target]:
    """Reads `{"<pipeline>": {"queueUrl", "dlqUrl"}}`; what `forms` does not have is plain, `readers` its own.

    Raises:
        SchemaValidationError: it is not that.
    """
    queues = jsontext.parse(text)
    if not isinstance(queues, dict) or not queues:
        raise SchemaValidationError(Detail("", "must be an object with a pipeline or more"))
    return {
        name: Target(
            name,
            _url(name, urls, "queueUrl"),
            _url(name, urls, "dlqUrl"),
            forms.get(name, messages.PLAIN),
            readers.get(name, ""),
        )
        for name, urls in queues.items()
    }


def _url(pipeline: str, urls: jsontext.Json, name: str) -> str:
    url = urls.get(name) if isinstance(urls, dict) else None
    if not isinstance(url, str) or not url:
        raise SchemaValidationError(Detail(f"/{pipeline}/{name}", "must be a queue's URL"))
    return url
