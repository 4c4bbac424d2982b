// Package metrics keeps samples on disk and evaluates queries, with the storage and the engine of Prometheus.
package metrics

import (
	_ "github.com/prometheus/prometheus/promql"
	_ "github.com/prometheus/prometheus/tsdb"
)
