"""The Lambda API: what boto3 and the aws CLI speak."""
