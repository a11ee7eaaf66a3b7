"""What osls deploys from serverless.yml, read back from AWS on this machine."""

import json
from ast import literal_eval
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.core.run import ATTEMPTS_MAX
from shared.observe.metrics import NAMESPACE, Metric
from shared.settings import Settings
from tests.deploy.deployment import PREFIX, REPORT_STORE, SERVICE, STAGE, Deployment

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

FUNCTIONS = Path(__file__).parents[2] / "functions"
BY_HTTP = {
    "reconcile_user",
    "rollback",
    "holds",
    "dry_run_report",
    "report",
    "sweep",
    "solvency",
    "verify_audit",
    "indexer_webhook",
    "dashboard",
    "watchdog",
}
SCHEDULES = {  # function → expression → input
    "sweep": {
        "cron(15 3 * * ? *)": {"incremental": False},
        "rate(15 minutes)": {"incremental": True},
    },
    "solvency": {"rate(15 minutes)": None},
    "verify_audit": {"cron(45 4 * * ? *)": None},
    "watchdog": {"rate(5 minutes)": None},
}
ADMIN_SECRETS = {"SUPABASE_SERVICE_ROLE_KEY", "RECONCILE_API_KEYS", "SUPABASE_JWT_SECRET"}
SECRETS = {
    "reconcile_user": ADMIN_SECRETS,
    "rollback": ADMIN_SECRETS,
    "holds": ADMIN_SECRETS,
    "dry_run_report": ADMIN_SECRETS,
    "report": ADMIN_SECRETS,
    "sweep": {*ADMIN_SECRETS, "RECONCILE_ALERT_URLS"},
    "solvency": {*ADMIN_SECRETS, "RECONCILE_ALERT_URLS"},
    "verify_audit": {*ADMIN_SECRETS, "RECONCILE_ALERT_URLS"},
    "watchdog": {*ADMIN_SECRETS, "RECONCILE_ALERT_URLS"},
    "dashboard": {*ADMIN_SECRETS, "RECONCILE_SESSION_SECRET"},
    "sweep_chunk": {"SUPABASE_SERVICE_ROLE_KEY", "RECONCILE_ALERT_URLS"},
    "indexer_webhook": {"SUPABASE_SERVICE_ROLE_KEY", "RECONCILE_WEBHOOK_SECRETS"},
}
SENDS = {"sweep", "sweep_chunk", "indexer_webhook", "dashboard"}
ALERTS = {"sweep", "sweep_chunk", "solvency", "verify_audit", "watchdog"}
"""Functions that tell people."""
KEEPS = {"report", "dry_run_report", "dashboard", "watchdog"}
"""Functions that keep reports, or link to them."""
REPORT_BUCKET_POLICY = "report_bucket"
API_TIMEOUT_S = 29
LAMBDA_VERSION = "python3.12"
PATH = f"/{SERVICE}/{STAGE}/"


@pytest.fixture
def sqs(deployment: Deployment) -> Iterator["SQSClient"]:
    with closing(deployment.session.client("sqs", endpoint_url=deployment.aws)) as client:
        yield client


def attributes(client: "SQSClient", url: str) -> dict[str, str]:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(name): value for name, value in answer["Attributes"].items()}


def parameters(deployment: Deployment, function: str) -> set[str]:
    """The secrets that a function is told to read."""
    variables = deployment.functions[function]["Environment"]["Variables"]
    return set(variables["RECONCILE_SSM_PARAMETERS"].split(","))


# -- functions ---------------------------------------------------------------------------------


def test_every_module_of_functions_is_deployed_under_its_name(deployment: Deployment) -> None:
    modules = {path.stem for path in FUNCTIONS.glob("*.py")} - {"__init__"}
    assert set(deployment.functions) == modules
    for name, function in deployment.functions.items():
        assert (function["Handler"], function["Runtime"]) == (
            f"functions.{name}.handler",
            LAMBDA_VERSION,
        )


def test_functions_have_memory_and_as_much_time_as_their_caller_waits(
    deployment: Deployment,
) -> None:
    for function in deployment.functions.values():
        assert 512 <= function["MemorySize"] <= 3_008
    timeouts = {name: each["Timeout"] for name, each in deployment.functions.items()}
    assert timeouts == {
        **dict.fromkeys(BY_HTTP, API_TIMEOUT_S),
        "sweep": 120,  # the schedule waits longer than the API
        "solvency": 120,
        "verify_audit": 900,
        "watchdog": 120,
        "sweep_chunk": 60,
    }


def test_the_environment_is_settings_that_there_are_and_their_values(
    deployment: Deployment, stack_settings: Mapping[str, str]
) -> None:
    known = {name.upper() for name in Settings.model_fields} | {"RECONCILE_SSM_PARAMETERS"}
    for name, function in deployment.functions.items():
        variables = function["Environment"]["Variables"]
        assert set(variables) <= known, name
        assert stack_settings.items() <= variables.items()
        assert (variables["RECONCILE_STAGE"], variables["RECONCILE_METRICS"]) == (STAGE, "emf")
        assert ("RECONCILE_QUEUE_URL" in variables) == (name in SENDS)
        topic = variables.get("RECONCILE_ALERT_TOPIC_ARN", "")
        assert topic.endswith(f":{PREFIX}alerts") == (name in ALERTS)
        # By HTTP, work ends before the API gives the function up; chunks before their leases do.
        assert float(variables["RECONCILE_DEADLINE_S"]) < API_TIMEOUT_S
    chunk = deployment.functions["sweep_chunk"]
    assert float(chunk["Environment"]["Variables"]["RECONCILE_LEASE_S"]) > chunk["Timeout"]


def test_secrets_are_named_and_nowhere_shown(
    deployment: Deployment, secret_settings: Mapping[str, str]
) -> None:
    shown = json.dumps(deployment.template) + json.dumps(
        [each["Environment"] for each in deployment.functions.values()]
    )
    for name, value in secret_settings.items():
        assert value not in shown, name
    for name, secrets in SECRETS.items():
        assert parameters(deployment, name) == {f"{PATH}{secret}" for secret in secrets}


def test_logs_are_kept_for_a_month(deployment: Deployment) -> None:
    with closing(deployment.session.client("logs", endpoint_url=deployment.aws)) as client:
        groups = client.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{PREFIX}")["logGroups"]
    kept = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    assert kept == {f"/aws/lambda/{PREFIX}{name}": 30 for name in deployment.functions}


# -- what calls them ---------------------------------------------------------------------------


def test_the_api_has_every_http_function_with_every_method(deployment: Deployment) -> None:
    with closing(deployment.session.client("apigateway", endpoint_url=deployment.aws)) as client:
        (api,) = client.get_rest_apis()["items"]
        resources = client.get_resources(restApiId=api["id"], embed=["methods"])["items"]
        (stage,) = client.get_stages(restApiId=api["id"])["item"]
    assert stage["stageName"] == STAGE
    routed = {each["path"]: each.get("resourceMethods", {}) for each in resources}
    paths = {f"/{name}": name for name in BY_HTTP} | {"/dashboard/{proxy+}": "dashboard"}
    assert set(routed) == {"/", *paths}
    for path, name in paths.items():
        integration = routed[path]["ANY"]["methodIntegration"]
        assert integration["type"] == "AWS_PROXY"
        assert integration["uri"].endswith(f":function:{PREFIX}{name}/invocations")
    (described,) = deployment.resources("AWS::ApiGateway::RestApi").values()
    assert described["BinaryMediaTypes"] == ["*/*"], "bodies are signed as bytes"


def test_the_schedules_call_their_functions_with_their_inputs(deployment: Deployment) -> None:
    names = {each["FunctionArn"]: name for name, each in deployment.functions.items()}
    with closing(deployment.session.client("events", endpoint_url=deployment.aws)) as client:
        rules = client.list_rules(NamePrefix=PREFIX)["Rules"]
        assert {rule["State"] for rule in rules} == {"ENABLED"}
        scheduled: dict[str, dict[str, Any]] = {}
        for rule in rules:
            (target,) = client.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            given = json.loads(target.get("Input", "null"))
            scheduled.setdefault(names[target["Arn"]], {})[rule["ScheduleExpression"]] = given
    assert scheduled == SCHEDULES


def test_what_may_call_a_function_is_its_api_and_its_schedules(deployment: Deployment) -> None:
    allowed: dict[str, set[str]] = {}
    for permission in deployment.resources("AWS::Lambda::Permission").values():
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["SourceArn"]
        principal = permission["Principal"]
        allowed.setdefault(str(permission["FunctionName"]), set()).add(
            principal if isinstance(principal, str) else json.dumps(principal)
        )
    assert len(allowed) == len(BY_HTTP)
    scheduled = [each for each in allowed.values() if "events.amazonaws.com" in each]
    assert len(scheduled) == len(SCHEDULES)


def test_the_queue_calls_sweep_chunk(deployment: Deployment, sqs: "SQSClient") -> None:
    mapping = deployment.mapping
    queue = attributes(sqs, deployment.queue_url("chunks"))
    function = deployment.functions["sweep_chunk"]
    assert mapping["EventSourceArn"] == queue["QueueArn"]
    assert mapping["FunctionArn"] == function["FunctionArn"]
    assert (mapping["BatchSize"], mapping["State"]) == (10, "Enabled")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_a_message_that_failed_five_times_goes_to_the_dead_letter_queue(
    deployment: Deployment, sqs: "SQSClient"
) -> None:
    queue = attributes(sqs, deployment.queue_url("chunks"))
    dead = attributes(sqs, deployment.queue_url("chunks-dead"))
    assert json.loads(queue["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": ATTEMPTS_MAX,
    }
    assert int(dead["MessageRetentionPeriod"]) > int(queue["MessageRetentionPeriod"])
    assert queue["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"


def test_a_message_stays_hidden_while_somebody_works_on_it(
    deployment: Deployment, sqs: "SQSClient"
) -> None:
    hidden_s = int(attributes(sqs, deployment.queue_url("chunks"))["VisibilityTimeout"])
    function = deployment.functions["sweep_chunk"]
    lease_s = float(function["Environment"]["Variables"]["RECONCILE_LEASE_S"])
    assert hidden_s >= max(6 * function["Timeout"], lease_s)


def test_the_functions_send_to_the_queue_that_is_worked(deployment: Deployment) -> None:
    queue = deployment.queue_url("chunks").rpartition("/")[2]
    for name in SENDS:
        url = deployment.functions[name]["Environment"]["Variables"]["RECONCILE_QUEUE_URL"]
        assert url.rpartition("/")[2] == queue


# -- what they may do ----------------------------------------------------------------------------


def policies_of(deployment: Deployment, function: str) -> dict[str, Any]:
    """The policies of a function's role, by their names; none is attached to it from outside."""
    role = deployment.functions[function]["Role"].rpartition("/")[2]
    with closing(deployment.session.client("iam", endpoint_url=deployment.aws)) as client:
        assert client.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        documents: dict[str, Any] = {
            name: client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in client.list_role_policies(RoleName=role)["PolicyNames"]
        }
    return {
        name: literal_eval(document) if isinstance(document, str) else document  # moto's repr
        for name, document in documents.items()
    }


@pytest.mark.parametrize("function", sorted(SECRETS))
def test_a_role_allows_what_its_function_does_and_nothing_else(
    function: str, deployment: Deployment
) -> None:
    allowed: dict[str, set[str]] = {}
    policies = policies_of(deployment, function)
    assert set(policies) == {function} | ({REPORT_BUCKET_POLICY} if function in KEEPS else set())
    for statement in policies[function]["Statement"]:
        assert set(statement) == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            allowed.setdefault(action, set()).update(_listed(statement["Resource"]))

    account = "us-east-1:123456789012"
    log_group = f"arn:aws:logs:{account}:log-group:/aws/lambda/{PREFIX}{function}:*"
    queue = f"arn:aws:sqs:{account}:{PREFIX}chunks"
    expected = {
        "logs:CreateLogStream": {log_group},
        "logs:PutLogEvents": {log_group},
        "ssm:GetParameters": {
            f"arn:aws:ssm:{account}:parameter{PATH}{secret}" for secret in SECRETS[function]
        },
    }
    if function in SENDS:
        expected["sqs:SendMessage"] = {queue}
    if function in ALERTS:
        expected["sns:Publish"] = {f"arn:aws:sns:{account}:{PREFIX}alerts"}
    if function == "sweep_chunk":
        receiving = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        expected |= {action: {queue} for action in receiving}
    assert allowed == expected


def test_reports_are_kept_below_their_prefix_and_nowhere_else(deployment: Deployment) -> None:
    for function in KEEPS:
        (statement,) = policies_of(deployment, function)[REPORT_BUCKET_POLICY]["Statement"]
        assert set(_listed(statement["Action"])) == {"s3:PutObject", "s3:GetObject"}
        assert statement["Resource"] == f"arn:aws:s3:::{REPORT_STORE.removeprefix('s3://')}/*"
    for configuration in deployment.functions.values():
        variables = configuration["Environment"]["Variables"]
        assert variables["RECONCILE_REPORT_STORE"] == REPORT_STORE


def test_without_a_bucket_nobody_may_keep_reports_in_one(deployment: Deployment) -> None:
    assert deployment.template["Resources"]["ReportBucketPolicy"]["Condition"] == "HasReportBucket"
    assert deployment.template["Conditions"]["HasReportBucket"] == {
        "Fn::Equals": ["s3", {"Fn::Select": [0, {"Fn::Split": ["://", {"Ref": "ReportStore"}]}]}]
    }


def test_every_function_has_a_role_of_its_own(deployment: Deployment) -> None:
    roles = {function["Role"] for function in deployment.functions.values()}
    assert len(roles) == len(deployment.functions)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# -- what is watched ---------------------------------------------------------------------------


def alarm(deployment: Deployment, name: str) -> dict[str, Any]:
    """moto makes no alarms of a template, so this is what CloudFormation was told."""
    alarms = deployment.resources("AWS::CloudWatch::Alarm").values()
    (found,) = (each for each in alarms if each["AlarmName"] == f"{PREFIX}{name}")
    assert found["AlarmActions"] == [{"Ref": "AlertsTopic"}]
    return found


def dimensions(alarm: dict[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in alarm["Dimensions"]}


def test_alerts_go_to_a_topic_and_from_it_to_the_address(deployment: Deployment) -> None:
    with closing(deployment.session.client("sns", endpoint_url=deployment.aws)) as client:
        topics = [each["TopicArn"] for each in client.list_topics()["Topics"]]
    assert [arn for arn in topics if arn.endswith(f":{PREFIX}alerts")]
    # moto makes no subscriptions of a template.
    (subscription,) = deployment.resources("AWS::SNS::Subscription").values()
    assert subscription == {
        "TopicArn": {"Ref": "AlertsTopic"},
        "Protocol": "email",
        "Endpoint": {"Ref": "AlertEmail"},
    }
    assert deployment.template["Parameters"]["AlertEmail"]["Default"] == "ops@example.com"


def test_a_dead_letter_rings_an_alarm(deployment: Deployment) -> None:
    found = alarm(deployment, "dead-letters")
    assert (found["Namespace"], found["MetricName"]) == (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
    )
    assert dimensions(found) == {"QueueName": {"Fn::GetAtt": ["ChunkDeadLetterQueue", "QueueName"]}}
    assert (found["Threshold"], found["ComparisonOperator"]) == (0, "GreaterThanThreshold")


@pytest.mark.parametrize("function", sorted(SECRETS))
def test_a_failed_invocation_rings_an_alarm(function: str, deployment: Deployment) -> None:
    found = alarm(deployment, f"{function}-errors")
    assert (found["Namespace"], found["MetricName"]) == ("AWS/Lambda", "Errors")
    assert dimensions(found) == {"FunctionName": f"{PREFIX}{function}"}


def test_answers_of_5xx_ring_an_alarm(deployment: Deployment) -> None:
    found = alarm(deployment, "http-errors")
    assert (found["Namespace"], found["MetricName"]) == ("AWS/ApiGateway", "5XXError")
    (api,) = deployment.resources("AWS::ApiGateway::RestApi").values()
    assert dimensions(found) == {"ApiName": api["Name"], "Stage": STAGE}


def test_silence_of_the_sweep_rings_an_alarm(deployment: Deployment) -> None:
    found = alarm(deployment, "no-run-finished")
    assert (found["Namespace"], found["MetricName"]) == (NAMESPACE, Metric.RUNS_FINISHED)
    assert dimensions(found) == {"Stage": STAGE}
    assert (found["ComparisonOperator"], found["Threshold"]) == ("LessThanThreshold", 1)
    assert found["TreatMissingData"] == "breaching"
    assert (found["Period"], int(found["EvaluationPeriods"])) == (3_600, 3)


def test_a_mismatch_of_ledger_and_vault_rings_an_alarm(deployment: Deployment) -> None:
    found = alarm(deployment, "not-solvent")
    assert (found["Namespace"], found["MetricName"]) == (NAMESPACE, Metric.SOLVENCY_MISMATCH)
    assert dimensions(found) == {"Function": "solvency", "Stage": STAGE}
    assert (found["Threshold"], found["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert found["TreatMissingData"] == "notBreaching"


def test_the_safety_stop_rings_an_alarm(deployment: Deployment) -> None:
    found = alarm(deployment, "run-halted")
    assert (found["Namespace"], found["MetricName"]) == (NAMESPACE, Metric.RUNS_HALTED)
    assert dimensions(found) == {"Stage": STAGE}
