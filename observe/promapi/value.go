package promapi

import (
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"rhumb"
)

// valueJSON returns a value in the API's form. With a limit it has at most so many series, and cut says whether there
// were more. Native histograms are left out: rhumb has none. Invalid: it has too many points.
func valueJSON(v parser.Value, limit int) (b []byte, cut bool, err error) {
	b = append(appendJSON([]byte(`{"resultType":`), v.Type()), `,"result":`...)
	switch v := v.(type) {
	case promql.Scalar:
		b = appendPoint(b, v.T, v.V)
	case promql.String:
		b = append(appendTime(append(b, '['), v.T), ',')
		b = append(appendJSON(b, v.V), ']')
	case promql.Vector:
		if cut = limit > 0 && len(v) > limit; cut {
			v = v[:limit]
		}
		b, err = appendVector(b, v)
	case promql.Matrix:
		if cut = limit > 0 && len(v) > limit; cut {
			v = v[:limit]
		}
		b, err = appendMatrix(b, v)
	}
	return append(b, '}'), cut, err
}

func appendVector(b []byte, v promql.Vector) ([]byte, error) {
	if err := bounded(len(v)); err != nil {
		return nil, err
	}
	b = append(b, '[')
	for _, s := range v {
		if s.H != nil {
			continue
		}
		b = appendLabels(append(comma(b), `{"metric":`...), s.Metric)
		b = append(appendPoint(append(b, `,"value":`...), s.T, s.F), '}')
	}
	return append(b, ']'), nil
}

func appendMatrix(b []byte, m promql.Matrix) ([]byte, error) {
	n := len(m)
	for _, s := range m {
		n += len(s.Floats)
	}
	if err := bounded(n); err != nil {
		return nil, err
	}
	b = append(b, '[')
	for _, s := range m {
		b = appendLabels(append(comma(b), `{"metric":`...), s.Metric)
		b = append(b, `,"values":[`...)
		for _, p := range s.Floats {
			b = appendPoint(comma(b), p.T, p.F)
		}
		b = append(b, "]}"...)
	}
	return append(b, ']'), nil
}

// bounded returns an error if an answer has too many points.
func bounded(points int) error {
	if points <= maxPoints {
		return nil
	}
	return rhumb.Errorf(rhumb.Invalid, "the answer has %d points, and %d is the most: "+
		"use a longer step, a shorter range or fewer series", points, maxPoints)
}

// comma appends a comma, unless the list begins here.
func comma(b []byte) []byte {
	if last := b[len(b)-1]; last == '[' || last == '{' {
		return b
	}
	return append(b, ',')
}

func appendLabels(b []byte, ls labels.Labels) []byte {
	b = append(b, '{')
	ls.Range(func(l labels.Label) {
		b = append(appendJSON(comma(b), l.Name), ':')
		b = appendJSON(b, l.Value)
	})
	return append(b, '}')
}

func appendPoint(b []byte, ms int64, v float64) []byte {
	b = append(appendTime(append(b, '['), ms), `,"`...)
	return append(appendFloat(b, v), `"]`...)
}

// appendTime appends a time in seconds, to the millisecond.
func appendTime(b []byte, ms int64) []byte {
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}

// appendFloat appends a number that reads back as the same.
func appendFloat(b []byte, v float64) []byte {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}
