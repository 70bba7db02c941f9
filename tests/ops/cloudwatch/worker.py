"""The watched function: logs and fails as it is told to."""

import json
import time
from typing import Any

_METRICS = {"Namespace": "Watched", "Dimensions": [["pipeline"]], "Metrics": [{"Name": "Done", "Unit": "Count"}]}


def handler(event: dict[str, Any], _: object) -> Any:
    """`mode` says what to do; a batch fails the messages that say so; the API gets the status that it asks for."""
    if "rawPath" in event:
        status = int(event["rawPath"].strip("/"))
        print(json.dumps({"route": event["routeKey"], "status": status}))  # noqa: T201 - that is how a function logs
        return {"statusCode": status}
    records = event.get("Records", [event])
    bodies = [json.loads(record["body"]) if "body" in record else record for record in records]
    for body in bodies:
        if body.get("mode") == "raise":
            raise ValueError("told to")
        if body.get("mode") == "sleep":
            time.sleep(5)
        if "errorType" in body:
            print(json.dumps({"errorType": body["errorType"]}))  # noqa: T201
    directive = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [_METRICS]}
    print(json.dumps({"_aws": directive, "pipeline": "p", "Done": len(bodies)}))  # noqa: T201
    failed = [record.get("messageId", "") for record, body in zip(records, bodies, strict=True) if "errorType" in body]
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in failed if "Records" in event]}
