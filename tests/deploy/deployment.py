"""What osls deployed into AWS on this machine, read back, and its functions to be invoked."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from tests.deploy.events import Event

if TYPE_CHECKING:
    from types_boto3_lambda.type_defs import (
        EventSourceMappingConfigurationTypeDef,
        FunctionConfigurationTypeDef,
    )

SERVICE = "balance-reconciliation"
STAGE = "test"
REGION = "us-east-1"
PREFIX = f"{SERVICE}-{STAGE}-"
REPORT_STORE = "s3://reports-of-the-test/ledger"

_INVOKE = Path(__file__).with_name("invoke.py")
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Invoked:
    """What came of a process that was given events, one after the other."""

    answers: list[dict[str, Any]]
    """What the handler returned, or {"error": …}."""
    printed: str


@dataclass(frozen=True)
class Deployment:
    """A stack that has been deployed at `aws`, with the zip's files in `folder`."""

    aws: str
    folder: Path
    session: boto3.session.Session = field(default_factory=lambda: aws_session())

    @cached_property
    def functions(self) -> dict[str, "FunctionConfigurationTypeDef"]:
        """The functions by their names in serverless.yml."""
        with closing(self.session.client("lambda", endpoint_url=self.aws)) as client:
            listed = client.list_functions()["Functions"]
        return {each["FunctionName"].removeprefix(PREFIX): each for each in listed}

    @cached_property
    def mapping(self) -> "EventSourceMappingConfigurationTypeDef":
        """What the queue calls, as it was deployed; see take_the_queue."""
        with closing(self.session.client("lambda", endpoint_url=self.aws)) as client:
            (mapping,) = client.list_event_source_mappings()["EventSourceMappings"]
        return mapping

    def take_the_queue(self) -> None:
        """Leave the queue's messages to the tests; moto would start the function in Docker."""
        with closing(self.session.client("lambda", endpoint_url=self.aws)) as client:
            client.update_event_source_mapping(UUID=self.mapping["UUID"], Enabled=False)

    @cached_property
    def template(self) -> dict[str, Any]:
        """The stack's CloudFormation template, as AWS has it."""
        with closing(self.session.client("cloudformation", endpoint_url=self.aws)) as client:
            body: Any = client.get_template(StackName=f"{SERVICE}-{STAGE}")["TemplateBody"]
        template: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
        return template

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of the template's resources of a type, by their logical ids."""
        return {
            name: resource["Properties"]
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }

    def queue_url(self, name: str) -> str:
        with closing(self.session.client("sqs", endpoint_url=self.aws)) as client:
            return client.get_queue_url(QueueName=f"{PREFIX}{name}")["QueueUrl"]

    def unzip(self) -> None:
        """Put the files of the zip that all functions were given into the folder."""
        archive = self._archive()
        digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
        assert {each["CodeSha256"] for each in self.functions.values()} == {digest}
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            opened.extractall(self.folder)

    def environment(self, function: str) -> dict[str, str]:
        """What Lambda gives a function's process: the function's own variables and Lambda's."""
        configuration = self.functions[function]
        return configuration["Environment"]["Variables"] | {
            "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "LAMBDA_TASK_ROOT": str(self.folder),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": configuration["Handler"],
            **aws_environment(self.aws),
        }

    def invoke(
        self, function: str, *events: Event, env: Mapping[str, str] | None = None
    ) -> Invoked:
        """Start the function in an interpreter that has nothing but the zip, and give it events."""
        command = [sys.executable, "-I", "-S", str(_INVOKE), str(self.folder)]
        done = subprocess.run(
            [*command, self.functions[function]["Handler"]],
            cwd=self.folder,
            env=self.environment(function) | dict(env or {}),
            input="".join(json.dumps(event) + "\n" for event in events),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(events), done.stderr
        return Invoked([each.get("answer", each) for each in answers], done.stderr)

    def _archive(self) -> bytes:
        locations = [
            properties["Code"] for properties in self.resources("AWS::Lambda::Function").values()
        ]
        (key,) = {location["S3Key"] for location in locations if "S3Key" in location}
        with closing(self.session.client("cloudformation", endpoint_url=self.aws)) as client:
            bucket = client.describe_stack_resource(
                StackName=f"{SERVICE}-{STAGE}", LogicalResourceId="ServerlessDeploymentBucket"
            )["StackResourceDetail"]["PhysicalResourceId"]
        with (
            closing(self.session.client("s3", endpoint_url=self.aws)) as s3,
            closing(s3.get_object(Bucket=bucket, Key=key)["Body"]) as body,
        ):
            return body.read()


def aws_session() -> boto3.session.Session:
    """Of nobody's account."""
    return boto3.session.Session("testing", "testing", region_name=REGION)


def aws_environment(aws: str) -> dict[str, str]:
    """Lets a process speak to AWS on this machine alone, whatever is in the user's ~/.aws."""
    return {
        "AWS_ENDPOINT_URL": aws,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
