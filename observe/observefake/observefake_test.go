package observefake_test

import (
	"testing"

	"rhumb/observe/observefake"
	"rhumb/observe/observetest"
)

func TestContract(t *testing.T) {
	observetest.Run(t, func(*testing.T) observetest.Store { return observefake.New() })
}

func TestContractOfSamples(t *testing.T) {
	observetest.RunSamples(t, func(*testing.T) observetest.Samples { return observefake.NewMetrics() })
}
