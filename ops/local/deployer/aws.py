"""Clients of the APIs that a deployment needs, all pointed at one endpoint."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

KEY = "test"  # the emulator's root user
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 3},
    proxies={},  # a company's proxy has no way to this machine's loopback
    max_pool_connections=32,
    user_agent_extra="ingestion-lab-deployer",  # by which the emulator tells its changes from anybody else's
)
_GONE = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")


class Aws:
    """Lazily made clients; safe for threads, which making a client is not."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.endpoint = endpoint
        self.region = region
        self._session = botocore.session.Session()  # boto3 would load its transfer manager for S3 too, for nothing
        self._session.set_credentials(KEY, KEY)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._identity: dict[str, str] = {}

    def client(self, service: str) -> Any:  # noqa: ANN401 - one class per service
        """The client of a service, by its botocore name."""
        if service in self._clients:  # no waiting while another one is being made
            return self._clients[service]
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.create_client(
                    service, region_name=self.region, endpoint_url=self.endpoint, config=_CONFIG
                )
            return self._clients[service]

    @property
    def account(self) -> str:
        """Id of the account that the endpoint acts for."""
        return self.identity["Account"]

    @property
    def identity(self) -> dict[str, str]:
        """Answer of sts:GetCallerIdentity: Account, Arn, UserId."""
        if not self._identity:
            self._identity = self.client("sts").get_caller_identity()
        return self._identity

    @property
    def apigateway(self) -> ApiGatewayV2Client:
        """HTTP APIs."""
        client: ApiGatewayV2Client = self.client("apigatewayv2")
        return client

    @property
    def dynamodb(self) -> DynamoDBClient:
        """Tables."""
        client: DynamoDBClient = self.client("dynamodb")
        return client

    @property
    def events(self) -> EventBridgeClient:
        """Buses, rules, targets."""
        client: EventBridgeClient = self.client("events")
        return client

    @property
    def glue(self) -> Any:  # noqa: ANN401 - its stubs are not among the dependencies
        """Databases and tables of the catalog."""
        return self.client("glue")

    @property
    def iam(self) -> IAMClient:
        """Roles and their policies."""
        client: IAMClient = self.client("iam")
        return client

    @property
    def kms(self) -> KMSClient:
        """Keys and aliases."""
        client: KMSClient = self.client("kms")
        return client

    @property
    def lambda_(self) -> LambdaClient:
        """Functions, layers, mappings."""
        client: LambdaClient = self.client("lambda")
        return client

    @property
    def logs(self) -> CloudWatchLogsClient:
        """Log groups."""
        client: CloudWatchLogsClient = self.client("logs")
        return client

    @property
    def s3(self) -> S3Client:
        """Buckets."""
        client: S3Client = self.client("s3")
        return client

    @property
    def sns(self) -> SNSClient:
        """Topics."""
        client: SNSClient = self.client("sns")
        return client

    @property
    def sqs(self) -> SQSClient:
        """Queues."""
        client: SQSClient = self.client("sqs")
        return client

    @property
    def ssm(self) -> SSMClient:
        """Parameters."""
        client: SSMClient = self.client("ssm")
        return client


def if_there() -> AbstractContextManager[None, bool]:
    """Run a block, and leave it quietly where AWS says that the thing does not exist."""
    return _IfThere()


class _IfThere(AbstractContextManager[None, bool]):
    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, ClientError) and _is_gone(error)


def _is_gone(error: ClientError) -> bool:
    return any(word in error.response["Error"]["Code"] for word in _GONE)  # each service has its own word for it
