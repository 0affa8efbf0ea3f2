"""The names of the runtime config's files and of what its lists are merged by (contract §1, §2, §10)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FUNCTIONS_FILE = "functions.yml"
ROUTING_FILE = "routing.yml"
RESOURCES_FILE = "resources.yml"
IMAGE_IMPORT_FILE = "image-import.json"
CONFIG_FILES = (FUNCTIONS_FILE, ROUTING_FILE, RESOURCES_FILE, IMAGE_IMPORT_FILE)
REQUIRED_FILES = (FUNCTIONS_FILE, ROUTING_FILE)

RESOURCE_KEYS: Mapping[str, str] = MappingProxyType(
    {"dynamodb": "TableName", "s3": "BucketName", "layers": "Name"}
)
PAYLOAD_VERSIONS = ("1.0", "2.0")
