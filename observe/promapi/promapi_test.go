package promapi_test

import (
	_ "github.com/prometheus/client_golang/api/prometheus/v1"
)
