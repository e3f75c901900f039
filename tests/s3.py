"""An S3 service on loopback: moto's server, in this process."""

import contextlib
import os
from collections.abc import Iterator, Mapping

import pytest


@contextlib.contextmanager
def s3_server(objects: Mapping[str, bytes], bucket: str = "clips") -> Iterator[dict[str, str]]:
    """A bucket with `objects`; yields the environment that reads it. Skips where moto is absent."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no S3 server: {error}")
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-test"}
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=bucket)
        for key, body in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=body)
        yield keys | {"AWS_REGION": "us-east-1", "UNMASK_BUCKET_ENDPOINT": endpoint}
    finally:
        server.stop()
