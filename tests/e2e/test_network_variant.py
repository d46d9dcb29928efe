"""The stack without a cache of its own to begin with: it makes ElastiCache and the network that ElastiCache needs.

The emulator runs no network, so what a security group or an endpoint lets through is not shown here. What is: that all
of it is created as written, and that the API function reaches a cache by TLS with the generated password.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest
import redis

from infra import release
from infra.packaging import Package

from . import servers
from .conftest import point_at
from .stack import DeployedStack

STAGE = "vpc"
PARAMETERS = {
    "RateCounters": "elasticache",
    "DomainName": "files.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-0000-0000-000000000000",
}


@dataclass(frozen=True)
class Variant:
    stack: DeployedStack
    cache_port: int
    password: str


@pytest.fixture(scope="module")
def variant(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Variant]:
    """An emulator of its own, whose ElastiCache endpoint is a real Valkey behind TLS."""
    folder = tmp_path_factory.mktemp("vpc")
    certificate, key = servers.self_signed_certificate(folder)
    with (
        pytest.MonkeyPatch.context() as patch,
        servers.valkey(folder) as port,
        servers.tls_front(port, certificate, key) as tls_port,
    ):
        # The functions inherit the emulator's environment, and it ours: so they trust the certificate.
        patch.setenv("SSL_CERT_FILE", str(certificate))
        with servers.emulator(tls_port, folder) as url:
            point_at(patch, url, folder)
            session = boto3.Session()
            done = release.deploy(session, STAGE, PARAMETERS, made=package)
            secret = session.client("secretsmanager").get_secret_value(SecretId=f"strongroom-{STAGE}-cache")
            with redis.Redis(port=port) as cache:
                # As ElastiCache does with the AuthToken that the stack gives it.
                cache.config_set("requirepass", secret["SecretString"])
            stack = DeployedStack(session, url, done)
            yield Variant(stack, port, secret["SecretString"])
            stack.api.close()


def test_cache_has_tls_password_and_encryption(variant: Variant) -> None:
    [group] = variant.stack.session.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert group["Engine"] == "valkey"
    assert group["TransitEncryptionEnabled"]
    assert group["AuthTokenEnabled"]
    assert group["AtRestEncryptionEnabled"]
    assert variant.password.isalnum()
    assert len(variant.password) == 64


def test_api_counts_in_the_cache_by_tls_with_the_generated_password(variant: Variant) -> None:
    member = variant.stack.sign_up("Networked")
    assert variant.stack.uploaded(member, "note.txt", b"through the other variant\n")
    assert variant.stack.api.get("/health", headers=member.headers).json()["dependencies"]["cache"] == "up"
    with redis.Redis(port=variant.cache_port, password=variant.password) as counters:
        assert counters.dbsize() > 0


def test_network_has_private_subnets_endpoints_and_no_way_out(variant: Variant) -> None:
    ec2 = variant.stack.session.client("ec2")
    [network] = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [f"strongroom-{STAGE}"]}])["Vpcs"]
    here = [{"Name": "vpc-id", "Values": [network["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=here)["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    endpoints = {
        endpoint["ServiceName"].rsplit(".", 1)[-1]: endpoint["VpcEndpointType"]
        for endpoint in ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
    }
    assert endpoints == {"s3": "Gateway", "dynamodb": "Gateway", "sqs": "Interface"}
    gateways = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [network["VpcId"]]}])
    assert gateways["InternetGateways"] == []
    assert ec2.describe_nat_gateways(Filters=here)["NatGateways"] == []


def test_only_the_api_function_is_put_into_the_network(package: Package) -> None:
    """Read off the template: the emulator does not keep a function's network."""
    functions = {
        name: resource["Properties"]
        for name, resource in package.template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert [name for name, properties in functions.items() if "VpcConfig" in properties] == ["APIHandler"]
    condition, inside, outside = functions["APIHandler"]["VpcConfig"]["Fn::If"]
    assert condition == "CreateCache"
    assert inside["SubnetIds"] == [{"Ref": "PrivateSubnetA"}, {"Ref": "PrivateSubnetB"}]
    assert outside == {"Ref": "AWS::NoValue"}


def test_api_answers_under_a_name_of_its_own(variant: Variant) -> None:
    gateway = variant.stack.session.client("apigateway")
    [mapping] = gateway.get_base_path_mappings(domainName=PARAMETERS["DomainName"])["items"]
    assert (mapping["restApiId"], mapping["stage"]) == (variant.stack.outputs["RestAPIId"], "api")
    assert variant.stack.outputs["ApiUrl"] == "https://files.example.com"
    assert variant.stack.outputs["DomainTarget"]
