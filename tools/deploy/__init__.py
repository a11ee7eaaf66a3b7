"""Deploys serverless.yml with osls, the open fork of the Serverless Framework."""

from tools.deploy.osls import DeployError, osls

__all__ = ["DeployError", "osls"]
