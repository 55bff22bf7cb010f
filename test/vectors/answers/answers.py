"""Answers of handlers in Python, as awslambdaric writes them."""
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import Enum
from typing import List, Optional

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)


@dataclass
class Item:
    itemIdentifier: str
    delaySeconds: Optional[int] = None
    delayLevel: Optional[int] = None
    action: Optional[str] = None


@dataclass
class Answer:
    batchItemFailures: List[Item] = field(default_factory=list)
    delaySeconds: Optional[int] = None


def powertools(failing):
    def work(record):
        if record.message_id in failing:
            raise ValueError("no database")

    event = {
        "Records": [
            {"messageId": i, "receiptHandle": i, "body": "{}", "attributes": {},
             "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
             "eventSourceARN": "", "awsRegion": ""}
            for i in ("A", "B")
        ]
    }
    return process_partial_response(event, work, BatchProcessor(EventType.SQS), None)


def fails():
    raise ValueError("no database")


CASES = {
    "None": lambda: None,
    "empty dict": lambda: {},
    "empty list of failures": lambda: {"batchItemFailures": []},
    "None as list": lambda: {"batchItemFailures": None},
    "one": lambda: {"batchItemFailures": [{"itemIdentifier": "A"}]},
    "None as identifier": lambda: {"batchItemFailures": [{"itemIdentifier": None}]},
    "empty identifier": lambda: {"batchItemFailures": [{"itemIdentifier": ""}]},
    "empty item": lambda: {"batchItemFailures": [{}]},
    "None as item": lambda: {"batchItemFailures": [None]},
    "tuple": lambda: {"batchItemFailures": ({"itemIdentifier": "A"},)},
    "dataclass, None in all others": lambda: asdict(Answer([Item("A")])),
    "dataclass, empty": lambda: asdict(Answer()),
    "Decimal from DynamoDB": lambda: {"batchItemFailures": [{"itemIdentifier": "A", "delaySeconds": Decimal(30)}]},
    "float": lambda: {"batchItemFailures": [{"itemIdentifier": "A", "delaySeconds": 30.0}]},
    "NaN": lambda: {"batchItemFailures": [{"itemIdentifier": "A", "delaySeconds": float("nan")}]},
    "snake_case": lambda: {"batch_item_failures": [{"item_identifier": "A"}]},
    "misspelt": lambda: {"batchItemFailure": [{"itemIdentifier": "A"}]},
    "list": lambda: [],
    "empty string": lambda: "",
    "False": lambda: False,
    "zero": lambda: 0,
    "bytes": lambda: b"{}",
    "dataclass itself": lambda: Answer(),
    "text of json.dumps": lambda: '{"batchItemFailures": []}',
    "status code": lambda: {"statusCode": 200},
    "Powertools, none failed": lambda: powertools(()),
    "Powertools, one failed": lambda: powertools(("A",)),
    "Powertools, all failed": lambda: powertools(("A", "B")),
    "error": fails,
}


def handler(event, _context):
    if event["case"] == "cases":
        return list(CASES)
    return CASES[event["case"]]()
