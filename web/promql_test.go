package web

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestExpressionsAreValidPromQL(t *testing.T) {
	exprs := []string{nodeNow, nodeBusy, replicaCPU, replicaMem, replicaFrom}
	for _, f := range figureList {
		exprs = append(exprs, f.filled(`sh"op`, "service", 30*time.Second))
	}
	for _, m := range measures {
		exprs = append(exprs, figure{expr: m.expr}.filled("shop", "release", time.Hour))
	}
	p := parser.NewParser(parser.Options{})
	for _, expr := range exprs {
		if _, err := p.ParseExpr(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}
