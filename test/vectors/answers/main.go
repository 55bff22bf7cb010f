// Answers of handlers in Go, as github.com/aws/aws-lambda-go writes them.
package main

import (
	"context"
	"errors"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

type item struct {
	ItemIdentifier string `json:"itemIdentifier"`
	DelayLevel     int    `json:"delayLevel"`
	DelaySeconds   int    `json:"delaySeconds"`
	Action         string `json:"action"`
}

type answer struct {
	BatchItemFailures []item `json:"batchItemFailures"`
}

// Without tags: PascalCase.
type untagged struct{ BatchItemFailures []events.SQSBatchItemFailure }

type question struct {
	Case string `json:"case"`
}

func one(id string) []events.SQSBatchItemFailure {
	return []events.SQSBatchItemFailure{{ItemIdentifier: id}}
}

func handle(_ context.Context, q question) (any, error) {
	switch q.Case {
	case "nil":
		return nil, nil
	case "SQSEventResponse, nil slice":
		return events.SQSEventResponse{}, nil
	case "SQSEventResponse, empty slice":
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, nil
	case "SQSEventResponse, one":
		return events.SQSEventResponse{BatchItemFailures: one("A")}, nil
	case "SQSEventResponse, empty identifier":
		return events.SQSEventResponse{BatchItemFailures: one("")}, nil
	case "SQSEventResponse, nil pointer":
		var response *events.SQSEventResponse
		return response, nil
	case "KinesisEventResponse, one":
		return events.KinesisEventResponse{BatchItemFailures: []events.KinesisBatchItemFailure{{ItemIdentifier: "A"}}}, nil
	case "own struct, zero values":
		return answer{[]item{{ItemIdentifier: "A"}}}, nil
	case "own struct, seconds beside zero values":
		return answer{[]item{{ItemIdentifier: "A", DelaySeconds: 30}}}, nil
	case "own struct, empty item":
		return answer{[]item{{}}}, nil
	case "own struct without tags, one":
		return untagged{one("A")}, nil
	case "own struct without tags, nil slice":
		return untagged{}, nil
	case "empty struct":
		return struct{}{}, nil
	case "empty string":
		return "", nil
	case "zero":
		return 0, nil
	case "bytes":
		return []byte(`{"batchItemFailures":[]}`), nil
	case "error":
		return nil, errors.New("no database")
	case "error beside an answer":
		return events.SQSEventResponse{}, errors.New("no database")
	default:
		panic("no such case")
	}
}

func main() { lambda.Start(handle) }
