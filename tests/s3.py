"""A store that speaks S3, in memory, for the time of a test: moto."""
import os
import re
import socket
import subprocess
import sys
import time

import boto3
import botocore.config

from common import free_port

BUCKET = "firstlight"
SECRET = "never-to-be-printed"


class Store:
    """Listens on a free port of this machine, with an empty bucket."""

    def __init__(self, folder):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.log = open(folder / "moto.log", "w")
        command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        config = botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
        self.client = boto3.client("s3", endpoint_url=f"http://{self.address}", region_name="us-east-1", config=config,
                                   aws_access_key_id="test", aws_secret_access_key=SECRET)
        for _ in range(600):
            assert self.process.poll() is None, open(folder / "moto.log").read()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        self.client.create_bucket(Bucket=BUCKET)

    def environment(self, **more):
        """What a command needs to reach it, and nothing of AWS that the machine has of its own."""
        clean = {name: value for name, value in os.environ.items() if not re.match(r"AWS_|FIRSTLIGHT_S3", name)}
        return clean | {"FIRSTLIGHT_S3_ENDPOINT": f"http://{self.address}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
                        "AWS_SECRET_ACCESS_KEY": SECRET, **more}

    def objects(self, prefix):
        """Keys and sizes below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
