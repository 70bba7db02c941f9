"""What holds data can't be deleted or replaced in production, whatever change of the configuration asks for it."""

import pulumi
from pulumi.runtime import register_stack_transformation

# By Pulumi's types. Log groups are not among them: kept, their fixed names would be in the way of their successors.
HOLDING_DATA = frozenset(
    {
        "aws:cloudwatch/eventArchive:EventArchive",
        "aws:dynamodb/table:Table",
        "aws:glue/catalogDatabase:CatalogDatabase",
        "aws:kms/key:Key",  # without it nothing of the others that it encrypted can be read
        "aws:s3/bucket:Bucket",
        "aws:s3tables/tableBucket:TableBucket",
        "aws:sqs/queue:Queue",
    }
)


def protect_data() -> None:
    """Protect every resource that holds data and is made from here on.

    Pulumi then refuses to delete or replace it, by name. One that was freed by hand (`pulumi state unprotect`)
    leaves the state without being deleted.
    """
    register_stack_transformation(_protected)


def _protected(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    if args.type_ not in HOLDING_DATA:
        return None
    kept = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
    return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, kept))
