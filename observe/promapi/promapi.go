// Package promapi is the HTTP API of Prometheus.
package promapi
