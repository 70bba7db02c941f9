"""The AWS APIs as the handlers use them; only this room and the stores call boto3."""
