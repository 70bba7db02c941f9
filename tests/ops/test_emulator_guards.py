"""What the emulator is started with beyond its own: who may ask it what, and what becomes of functions that fail."""

import io
import json
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ops.local import environments, lambdas, processes, venv
from ops.local.cloudwatch import logs
from ops.local.cloudwatch.__main__ import clients
from ops.local.cloudwatch.sources.invocations import invocations
from ops.local.deployer.aws import Aws
from ops.local.emulator import ROOT, Emulator
from tests.ops.stack import Stack, client, wait_for, wipe

_TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
_ANSWERS = "def handler(event, context):\n    print('called')\n    return {'statusCode': 200, 'body': 'in'}\n"


def _function(of: Callable[[str], Any], name: str, code: str | dict[str, str], **more: Any) -> str:
    document = json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
    role = of("iam").create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in (code if isinstance(code, dict) else {"index.py": code}).items():
            archive.writestr(zipfile.ZipInfo(path), text)  # of no time: equal code is equal bytes
    made = of("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": buffer.getvalue()},
        **more,
    )
    return str(made["FunctionArn"])


def _status(url: str, method: str = "GET", **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    call = urllib.request.Request(url, method=method, headers=given)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(call, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


_FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Host": "evil.example"},
    {"Host": "api.execute-api.evil.example"},
    {"Host": "api.execute-api.localhost", "Origin": "https://evil.example"},
    {"Sec_Fetch_Site": "cross-site"},
]


@pytest.mark.parametrize("shown", _FOREIGN, ids=str)
def test_pages_of_the_web_are_refused(stack: Stack, shown: dict[str, str]) -> None:
    """A page that somebody has open can neither wipe the stack nor change, delete or read anything in it."""
    url = stack.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    endpoint = stack.emulator.endpoint

    assert _status(f"{endpoint}/_ministack/reset", "POST", **shown) == 403
    signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    if "api.execute-api.localhost" not in shown.values():
        assert _status(f"{endpoint}/bucket", "PUT", Authorization=signed, **shown) == 403
        assert _status(f"{endpoint}/_ministack/sqs/messages", **shown) == 403
    assert stack.client("sqs").list_queues()["QueueUrls"] == [url]
    assert stack.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    "shown", [{}, {"Origin": "http://localhost:8000"}, {"Origin": "http://127.0.0.1:1"}, {"Host": "localhost"}], ids=str
)
def test_programs_of_this_machine_are_served(stack: Stack, shown: dict[str, str]) -> None:
    """Pages on loopback too."""
    assert _status(f"{stack.emulator.endpoint}/_ministack/reset", "POST", **shown) == 200


@pytest.fixture
def api(stack: Stack) -> str:
    """URL of an API with the routes /open and /signed; the second asks for an AWS signature."""
    gateway = stack.client("apigatewayv2")
    api = gateway.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
    made = gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=_function(stack.client, "answers", _ANSWERS),
        PayloadFormatVersion="2.0",
    )
    for path, access in (("/open", "NONE"), ("/signed", "AWS_IAM")):
        target = f"integrations/{made['IntegrationId']}"
        gateway.create_route(ApiId=api, RouteKey=f"GET {path}", Target=target, AuthorizationType=access)
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return f"{stack.emulator.endpoint}/_aws/execute-api/{api}"


@pytest.mark.parametrize(
    "header",
    [
        *("Basic dGVzdDp0ZXN0", "Bearer token", "x", "AWS test:signature", "AWS4-HMAC-SHA1 Credential=test/a/b/c/d"),
        *("AWS4-ECDSA-P256-SHA256 Credential=test/a/b/aws4_request", "aws4-hmac-sha256 Credential=test/a/b/c/d"),
        "AWS4-HMAC-SHA256",
    ],
)
def test_what_is_no_signature_opens_no_signed_route(api: str, header: str) -> None:
    """As on AWS, whatever stands in the header instead; other routes don't mind it."""
    assert _status(f"{api}/signed", Authorization=header) == 403
    assert _status(f"{api}/open", Authorization=header) == 200


def test_a_signature_opens_a_signed_route(api: str) -> None:
    """The root user's; nothing at all does not. A foreign page may call an API, which decides by its CORS."""
    request = AWSRequest("GET", f"{api}/signed")
    SigV4Auth(Credentials("test", "test"), "execute-api", "us-east-1").add_auth(request)
    assert _status(f"{api}/signed", **dict(request.headers.items())) == 200
    assert _status(f"{api}/signed") == 403
    assert _status(f"{api}/open", Origin="https://page.example") == 200


@pytest.mark.parametrize(
    ("code", "told", "message"),
    [
        ("import nowhere\n", 'index.py", line 1, in <module>', "ModuleNotFoundError: No module named 'nowhere'"),
        ("def handler(:\n", 'index.py", line 1', "SyntaxError: invalid syntax"),
        ("import os\nos._exit(3)\n", "[ERROR] Runtime.ExitError: Worker process exited immediately.", ""),
        ("import os\ndef handler(event, context):\n    os._exit(3)\n", "Worker process died", ""),
        ("def handler(event, context):\n    return 1 / 0\n", 'index.py", line 2, in handler', "ZeroDivisionError: "),
    ],
    ids=["import", "syntax", "death on import", "death", "exception"],
)
def test_failures_are_in_the_log(stack: Stack, code: str, told: str, message: str) -> None:
    """With file and line, and as a failed invocation, from the init phase as well."""
    functions = stack.client("lambda")
    _function(stack.client, "broken", code)
    answer = functions.invoke(FunctionName="broken", Payload=b"{}")
    assert (answer["StatusCode"], "FunctionError" in answer) == (200, True)
    assert "Traceback" not in json.loads(answer["Payload"].read())["errorMessage"]

    events = list(logs.read(stack.client("logs"), ["/aws/lambda/broken"], 0))
    text = "\n".join(event.message for event in events)
    assert told in text
    assert message in text
    assert [one.failed for one in invocations(events, {"/aws/lambda/broken": "broken"})] == [True]


def test_events_of_a_rule_wait_for_a_function_that_is_busy(stack: Stack) -> None:
    """As in Lambda's own queue: with room for one invocation, none of several events is lost."""
    slow = "import time\ndef handler(event, context):\n    time.sleep(0.3)\n    print('took', event['detail']['n'])\n"
    arn = _function(stack.client, "slow", slow)
    stack.client("lambda").put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)
    events = stack.client("events")
    events.put_rule(Name="slow", EventPattern=json.dumps({"source": ["test"]}))
    events.put_targets(Rule="slow", Targets=[{"Id": "f", "Arn": arn}])
    entries = [{"Source": "test", "DetailType": "t", "Detail": json.dumps({"n": n})} for n in range(3)]
    events.put_events(Entries=entries)

    def taken() -> bool:
        text = [event.message for event in logs.read(stack.client("logs"), ["/aws/lambda/slow"], 0)]
        return sorted(line.strip() for line in text if line.startswith("took")) == ["took 0", "took 1", "took 2"]

    wait_for(taken, "all events taken")


def test_processes_share_their_code(stack: Stack) -> None:
    """It is extracted once for each content, and once more when it has changed."""
    tells = "import os\nplace = os.path.realpath(__file__)\ndef handler(event, context): return place\n"
    functions = stack.client("lambda")
    for name, code in (("a", tells), ("b", tells), ("c", f"{tells}#")):
        _function(stack.client, name, code)

    told = {name: json.load(functions.invoke(FunctionName=name)["Payload"]) for name in ("a", "b", "c")}
    assert told["a"] == told["b"] != told["c"]
    assert (Path(told["a"]).read_text(), Path(told["c"]).read_text()) == (tells, f"{tells}#")
    assert list(stack.emulator.scratch.rglob("code.zip")) == []


def test_changes_of_resources_are_counted(stack: Stack) -> None:
    """Whoever makes them, but for the deployer; reading, and using what there is, changes nothing."""
    sqs, changes = stack.client("sqs"), stack.emulator.changes
    seen = [changes()]

    def after(done: object) -> str:
        assert done is not None
        seen.append(changes())
        return "changed" if seen[-1] != seen[-2] else "the same"

    url = sqs.create_queue(QueueName="mine")["QueueUrl"]
    assert after(url) == "changed"
    sqs.send_message(QueueUrl=url, MessageBody="b")
    (received,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    assert after(sqs.list_queues()) == "the same"
    assert after(stack.client("apigatewayv2").get_apis()) == "the same"
    assert after(Aws(stack.emulator.endpoint, "us-east-1").sqs.create_queue(QueueName="ours")) == "the same"
    assert after(sqs.tag_queue(QueueUrl=url, Tags={"a": "b"})) == "changed"
    assert after(stack.client("s3").create_bucket(Bucket="made")) == "changed"
    assert after(stack.client("s3").put_object(Bucket="made", Key="k", Body=b"")) == "the same"
    assert after(stack.client("s3").delete_objects(Bucket="made", Delete={"Objects": [{"Key": "k"}]})) == "the same"
    assert after(stack.client("s3").delete_bucket(Bucket="made")) == "changed"
    stack.client("sns").create_topic(Name="t")
    assert after(stack.client("iam").list_roles()) == "changed"
    assert after(stack.client("cloudwatch").describe_alarms()) == "the same"
    wipe(stack.emulator)
    assert after(url) == "changed"
    assert seen[0].partition(" ")[0] == seen[-1].partition(" ")[0]


def test_work_is_counted(stack: Stack) -> None:
    """Calls and invocations, but for the looks of the laptop's CloudWatch."""
    _function(stack.client, "answers", _ANSWERS)
    before = stack.emulator.work()
    assert before
    clients(stack.emulator.endpoint)("sqs").list_queues()
    assert stack.emulator.work() == before
    stack.client("sqs").list_queues()
    called = stack.emulator.work()
    assert called not in (before, "")
    stack.client("lambda").invoke(FunctionName="answers", Payload=b"{}")
    assert int(stack.emulator.work().split()[1]) - int(called.split()[1]) == 4  # the call and what it invokes


def test_whom_a_burst_waits_for(tmp_path: Path) -> None:
    """A call waits a moment for one of the processes that there are, and while another one starts; not for ever."""
    script = tmp_path / "due.py"
    script.write_text(
        "import json, runpy, sys\n"
        "from types import SimpleNamespace as Process\n"
        "due = runpy.run_path(sys.argv[1])['_is_due']\n"
        "busy, free = Process(in_use=True, _start_time=1.0), Process(in_use=False, _start_time=1.0)\n"
        "starts = Process(in_use=True, _start_time=None)\n"
        "pools = ([], [busy, free], [busy], [busy, starts], [free, starts])\n"
        "print(json.dumps([[due(pool, waited) for waited in (0.3, 0.6, 9.0)] for pool in pools]))\n"
    )
    command = [str(venv.python(ROOT)), "-P", str(script), str(ROOT / "ops" / "local" / "ministack_main.py")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == [[True] * 3, [True] * 3, [False, True, True], [False, False, True], [True] * 3]


def test_a_function_sees_its_own_environment_and_packages(stack: Stack) -> None:
    """As in a process that nobody else was before: its variables, its folder, its copies of what the SDK uses too."""
    tells = (
        "import json, os, sys\nimport jmespath, botocore\n"
        "def handler(event, context):\n"
        "    return [os.environ['AWS_LAMBDA_FUNCTION_NAME'], os.environ.get('MINE'), 'GATEWAY_PORT' in os.environ,\n"
        "            os.path.realpath(os.getcwd()) == os.path.dirname(os.path.realpath(__file__)),\n"
        "            getattr(jmespath, 'OWN', None), botocore.__name__]\n"
    )
    _function(stack.client, "plain", tells, Environment={"Variables": {"MINE": "yes"}})
    _function(stack.client, "rich", {"index.py": tells, "jmespath.py": "OWN = 1\n"})
    _function(stack.client, "sdk", {"index.py": tells, "botocore/__init__.py": "__name__ = 'mine'\n"})
    functions = stack.client("lambda")
    told = {name: json.load(functions.invoke(FunctionName=name)["Payload"]) for name in ("plain", "rich", "sdk")}
    assert told["plain"] == ["plain", "yes", True, True, None, "botocore"]
    assert told["rich"][4:6] == [1, "botocore"]
    assert told["sdk"][4:6] == [None, "mine"]


def test_a_process_that_was_killed(stack: Stack) -> None:
    """Is found by its function's name, and its function runs again when it is called again."""
    _function(stack.client, "answers", _ANSWERS)
    functions, emulator = stack.client("lambda"), stack.emulator
    for _ in range(2):
        assert json.load(functions.invoke(FunctionName="answers")["Payload"]) == {"statusCode": 200, "body": "in"}
        (one,) = lambdas.running(emulator, "answers")
        one.kill()
        wait_for(lambda: lambdas.running(emulator, "answers") == [], "its end")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator for three processes of functions."""
    monkeypatch.setattr(environments, "_FUNCTION_PROCESSES", 3)
    with Emulator.start(tmp_path / "home") as running:
        yield running


def test_number_of_processes_is_limited(small: Emulator, tmp_path: Path) -> None:
    """Who asks for more at once is throttled, as on AWS; idle processes make room for those of other functions."""
    gate = tmp_path / "gate"
    waits = (
        "import os, time\ndef handler(event, context):\n"
        f"    open({str(tmp_path)!r} + '/began-' + str(os.getpid()), 'w')\n"
        f"    while not os.path.exists({str(gate)!r}):\n        time.sleep(0.02)\n"
    )
    functions = client(small, "lambda")
    for name in ("a", "b"):
        _function(lambda service: client(small, service), name, waits, Timeout=60)

    def invoke(name: str) -> int:
        try:
            return int(client(small, "lambda").invoke(FunctionName=name, Payload=b"{}")["StatusCode"])
        except functions.exceptions.TooManyRequestsException:
            return 429

    with ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(invoke, "a") for _ in range(3)]
        wait_for(lambda: len(list(tmp_path.glob("began-*"))) == 3, "three invocations")
        assert [invoke(name) for name in ("a", "b")] == [429, 429]
        gate.touch()
        assert [one.result() for one in busy] == [200, 200, 200]
        assert [invoke("b") for _ in range(2)] == [200, 200]
    assert sum(lambdas.name(small, one) != "" for one in processes.marked(small.home)) == 3
