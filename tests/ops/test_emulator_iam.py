"""What the emulator's IAM needs beside the program's own policies, and nothing more."""

import json
from typing import Any

from ops.local.deployer.emulator_iam import resource_policy, role_policy

_QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
_TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/t"
_GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:/g"


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_role_policy() -> None:
    """Batch actions beside the single ones, PartiQL calls beside PartiQL rights, groups beside their streams."""
    untouched = {"Sid": "Other", "Effect": "Allow", "Action": ["events:PutEvents"], "Resource": ["arn:bus"]}
    document = _document(
        {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": _QUEUE},
        {"Effect": "Allow", "Action": "dynamodb:PartiQLInsert", "Resource": [_TABLE]},
        {"Effect": "Allow", "Action": ["logs:PutLogEvents"], "Resource": [f"{_GROUP}:*", f"{_GROUP}:log-stream:*"]},
        untouched,
    )
    assert json.loads(role_policy(document)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:SendMessageBatch"],
                "Resource": [_QUEUE],
            },
            {"Effect": "Allow", "Action": ["dynamodb:PartiQLInsert"], "Resource": [_TABLE]},
            {
                "Effect": "Allow",
                "Action": ["logs:PutLogEvents"],
                "Resource": [f"{_GROUP}:*", f"{_GROUP}:log-stream:*", _GROUP],
            },
            untouched,
            {
                "Effect": "Allow",
                "Action": [
                    "dynamodb:BatchExecuteStatement",
                    "dynamodb:ExecuteStatement",
                    "dynamodb:ExecuteTransaction",
                ],
                "Resource": "*",
            },
        ],
    }


def test_a_mapping_that_is_looked_at() -> None:
    """The emulator calls it a list, of that one mapping."""
    (statement,) = json.loads(
        role_policy(_document({"Effect": "Allow", "Action": "lambda:GetEventSourceMapping", "Resource": "arn:m"}))
    )["Statement"]

    assert statement["Action"] == ["lambda:GetEventSourceMapping", "lambda:ListEventSourceMappings"]
    assert statement["Resource"] == ["arn:m"]


def test_no_partiql_without_the_right() -> None:
    """A role that may not use PartiQL does not get its calls, nor does one that is denied it."""
    statement = {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": [_TABLE]}
    denial = {"Effect": "Deny", "Action": ["dynamodb:PartiQLInsert"], "Resource": [_TABLE]}
    document = _document(statement, denial)
    assert json.loads(role_policy(document)) == json.loads(document)


def test_resource_policy() -> None:
    """No demand of TLS, and with a role its sessions; who else is named stays as it is."""
    others = ["arn:aws:iam::000000000000:user/u", "arn:aws:iam::000000000000:root"]
    document = _document(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": _QUEUE,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": _QUEUE,
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::000000000000:role/path/r", *others]}},
        },
    )
    assert json.loads(resource_policy(document))["Statement"] == [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["sqs:SendMessage", "sqs:SendMessageBatch"],
            "Resource": [_QUEUE],
            "Condition": {
                "ArnNotEquals": {
                    "aws:PrincipalArn": [
                        "arn:aws:iam::000000000000:role/path/r",
                        *others,
                        "arn:aws:sts::000000000000:assumed-role/r/*",
                    ]
                }
            },
        }
    ]


def test_a_denial_that_spares_services() -> None:
    """It strikes those who do not say from what they deliver, which the emulator's services do."""
    named = {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::000000000000:user/u"]}}
    spares = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}, **named}
    denied = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": _QUEUE, "Condition": spares}

    (statement,) = json.loads(resource_policy(_document(denied)))["Statement"]
    assert statement["Condition"] == {"Null": {"aws:SourceArn": "true"}, **named}


def test_parameters_called_by_arn() -> None:
    """The resource that the emulator makes of an ARN where AWS takes one for a name."""
    arn = "arn:aws:ssm:us-east-1:000000000000:parameter/team/keys"
    document = _document({"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": arn})

    assert json.loads(role_policy(document))["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": [arn, f"arn:aws:ssm:us-east-1:000000000000:parameter/{arn}"],
        }
    ]


def test_a_bus_is_looked_at_under_the_name_that_the_emulator_gives_it() -> None:
    """It takes the name in DescribeEventBus for a rule's; other rights on the bus are left alone."""
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/b"
    looked = _document({"Effect": "Allow", "Action": ["events:PutEvents", "events:DescribeEventBus"], "Resource": bus})
    put = _document({"Effect": "Allow", "Action": ["events:PutEvents"], "Resource": bus})

    (statement,) = json.loads(role_policy(looked))["Statement"]
    assert statement["Resource"] == [bus, "arn:aws:events:us-east-1:000000000000:rule/default/b"]
    assert json.loads(role_policy(put))["Statement"][0]["Resource"] == [bus]


def test_files_of_a_table_bucket_are_those_of_a_bucket() -> None:
    """The emulator keeps them in a bucket of the same name, and asks for the rights of S3 on it."""
    tables = "arn:aws:s3tables:eu-west-1:000000000000:bucket/lake-tables/table/*"
    statement = {"Effect": "Allow", "Action": ["s3tables:GetTableData", "s3tables:PutTableData"], "Resource": tables}

    (adapted,) = json.loads(role_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]})))["Statement"]

    assert adapted["Action"] == [*statement["Action"], "s3:GetObject", "s3:PutObject"]
    assert adapted["Resource"] == [tables, "arn:aws:s3:::lake-tables/*"]


def test_a_database_may_be_read_as_what_the_emulator_takes_it_for() -> None:
    """Its other calls name the database where AWS names the table, which the statement has beside it."""
    place = "arn:aws:glue:eu-west-1:000000000000"
    arns = [f"{place}:catalog", f"{place}:database/lake", f"{place}:table/lake/*"]
    statement = {"Effect": "Allow", "Action": ["glue:GetDatabase", "glue:GetTable"], "Resource": arns}

    (adapted,) = json.loads(role_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]})))["Statement"]

    assert adapted["Resource"] == [*arns, f"{place}:table/lake"]
