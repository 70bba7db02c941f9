"""Policies as the emulator's IAM wants them; on AWS the program's own documents are used, unchanged.

The emulator (AUTH=true) authorizes by the name of the API call and knows less about resources than AWS:

- `SendMessageBatch`, `DeleteMessageBatch`, `ChangeMessageVisibilityBatch` want actions of these names. AWS has none of
  them: it checks the action of the single call. What is said of the one is said of the other, on the same resource.
- PartiQL calls want `dynamodb:ExecuteStatement` / `BatchExecuteStatement` on `*`, because the table stands inside the
  statement. AWS checks `dynamodb:PartiQLInsert` and so on, on the table. Whoever has one of these gets the calls.
- Log calls are checked against the ARN of the group; the `:*` and `:log-stream:…` endings that AWS wants never match.
- A parameter of SSM that is called by its ARN is checked as if the ARN were its name, and so its ARN within an ARN.
- `DescribeEventBus` is checked as if the bus were a rule of that name on the default bus.
- Glue's `GetDatabase` is checked as if the database were a table of that name, outside of any database.
- Files of tables in a table bucket are checked as `s3:GetObject` and `s3:PutObject` on a bucket of that name. AWS
  checks `s3tables:GetTableData` and `s3tables:PutTableData` on the table.
- `GetEventSourceMapping` is checked as `lambda:ListEventSourceMappings`, on the mapping.
- `aws:PrincipalArn` of a function is its session; on AWS it is its role. Sessions of a named role are named too.
- `aws:PrincipalIsAWSService` is not known, so that what spares services would strike S3. A service that delivers says
  from what (`aws:SourceArn`), and nobody else does.
- There is no TLS on loopback: a statement that denies plain HTTP would deny everything, so it is left out.

What this widens is checked elsewhere: the documents themselves by the component tests, and the tables that statements
name from the statements.
"""

from __future__ import annotations

import json
import re
from typing import Any

_BATCH = ("sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
_OTHER_NAMES = {
    "lambda:GetEventSourceMapping": "lambda:ListEventSourceMappings",
    "s3tables:GetTableData": "s3:GetObject",
    "s3tables:PutTableData": "s3:PutObject",
}
_TABLE_BUCKET = re.compile(r"arn:(?P<partition>[^:]+):s3tables:[^:]*:[^:]*:bucket/(?P<name>[^/]+)/table/.*")
_PARTIQL = "dynamodb:PartiQL"
_PARTIQL_CALLS = ["dynamodb:BatchExecuteStatement", "dynamodb:ExecuteStatement", "dynamodb:ExecuteTransaction"]
_ROLE = re.compile(r"arn:(?P<partition>[^:]+):iam::(?P<account>\d+):role/(?:.*/)?(?P<name>[^/]+)")
_NO_SERVICE = {"aws:PrincipalIsAWSService": "false"}
_NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def role_policy(document: str) -> str:
    """What a role may do (JSON), with what the emulator wants added."""
    policy = json.loads(document)
    statements = [_statement(statement) for statement in _as_list(policy["Statement"])]
    if any(action.startswith(_PARTIQL) for statement in statements for action in _allowed(statement)):
        statements.append({"Effect": "Allow", "Action": _PARTIQL_CALLS, "Resource": "*"})
    return json.dumps(policy | {"Statement": statements})


def resource_policy(document: str) -> str:
    """Who may do what to a queue or a topic (JSON), with what the emulator wants added and no demand of TLS."""
    policy = json.loads(document)
    kept = [s for s in _as_list(policy["Statement"]) if not (s["Effect"] == "Deny" and s.get("Condition") == _NO_TLS)]
    return json.dumps(policy | {"Statement": [_statement(statement) for statement in kept]})


def _statement(statement: dict[str, Any]) -> dict[str, Any]:
    changed = dict(statement)
    if "Action" in changed:
        actions = _as_list(changed["Action"])
        changed["Action"] = actions + [f"{action}Batch" for action in actions if action in _BATCH]
        changed["Action"] += [_OTHER_NAMES[action] for action in actions if action in _OTHER_NAMES]
    if "Resource" in changed:
        resources = _as_list(changed["Resource"])
        changed["Resource"] = list(
            dict.fromkeys(
                [
                    *resources,
                    *map(_log_group, resources),
                    *_parameters(resources),
                    *_buses(changed),
                    *_databases(changed),
                    *_table_files(resources),
                ]
            )
        )
    if "Condition" in changed:
        conditions = dict(changed["Condition"])
        if conditions.get("BoolIfExists") == _NO_SERVICE:
            del conditions["BoolIfExists"]
            conditions["Null"] = {"aws:SourceArn": "true"}
        changed["Condition"] = {operator: _condition(keys) for operator, keys in conditions.items()}
    return changed


def _condition(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: _sessions(value) if key == "aws:PrincipalArn" else value for key, value in keys.items()}


def _sessions(value: Any) -> list[str]:  # noqa: ANN401 - IAM takes one or many
    arns: list[str] = _as_list(value)
    roles = [match for match in map(_ROLE.fullmatch, arns) if match]
    return arns + [f"arn:{r['partition']}:sts::{r['account']}:assumed-role/{r['name']}/*" for r in roles]


def _log_group(arn: str) -> str:
    parts = arn.split(":")
    return ":".join(parts[:7]) if parts[2:3] == ["logs"] and parts[5:6] == ["log-group"] else arn


def _parameters(arns: list[str]) -> list[str]:
    found = [arn.split(":") for arn in arns if arn.startswith("arn:") and ":ssm:" in arn]
    return [":".join([*parts[:5], "parameter/"]) + ":".join(parts) for parts in found if parts[2] == "ssm"]


def _buses(statement: dict[str, Any]) -> list[str]:
    if "events:DescribeEventBus" not in _as_list(statement.get("Action", [])):
        return []
    return [arn.replace(":event-bus/", ":rule/default/") for arn in _as_list(statement["Resource"])]


def _databases(statement: dict[str, Any]) -> list[str]:
    if "glue:GetDatabase" not in _as_list(statement.get("Action", [])):
        return []
    arns = [arn for arn in _as_list(statement["Resource"]) if ":database/" in arn]
    return [arn.replace(":database/", ":table/") for arn in arns]


def _table_files(arns: list[str]) -> list[str]:
    found = [match for match in map(_TABLE_BUCKET.fullmatch, arns) if match]
    return [f"arn:{one['partition']}:s3:::{one['name']}/*" for one in found]


def _allowed(statement: dict[str, Any]) -> list[str]:
    return _as_list(statement.get("Action", [])) if statement["Effect"] == "Allow" else []


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 - IAM takes one or many
    return value if isinstance(value, list) else [value]
