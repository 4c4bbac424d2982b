package promapi

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"rhumb"
)

// exposition answers with the latest value of each of rhumb's own series, in Prometheus' text format.
func (a *api) exposition(w http.ResponseWriter, r *http.Request) {
	var b []byte
	q := rhumb.MetricQuery{Expr: `{__name__=~"rhumb_.+"}`}
	err := a.inTurn(r.Context(), func() error {
		return a.Store.Evaluate(r.Context(), q, func(v parser.Value, _ annotations.Annotations) error {
			vec, _ := v.(promql.Vector)
			b = expose(vec)
			return nil
		})
	})
	if err != nil {
		f := faultOf(err)
		http.Error(w, f.msg, f.status)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b) // the client may be gone
}

// expose returns samples in the text format, family by family.
func expose(vec promql.Vector) []byte {
	names := make([]string, 0, len(vec))
	for _, s := range vec {
		names = append(names, s.Metric.Get(model.MetricNameLabel))
	}
	slices.Sort(names)
	of := map[string]string{} // the family of each name
	kinds := map[string]string{}
	for family, kind := range families(slices.Compact(names)) {
		kinds[family] = kind
		for _, name := range members(family, kind) {
			of[name] = family
		}
	}
	family := func(s promql.Sample) string { return of[s.Metric.Get(model.MetricNameLabel)] }
	slices.SortFunc(vec, func(x, y promql.Sample) int {
		return cmp.Or(cmp.Compare(family(x), family(y)), compareIn(x.Metric, y.Metric))
	})
	var b []byte
	for i, s := range vec {
		if i == 0 || family(s) != family(vec[i-1]) {
			b = append(b, "# TYPE "+family(s)+" "+kinds[family(s)]+"\n"...)
		}
		b = appendSample(b, s)
	}
	return b
}

// compareIn sorts the samples of a family: by name, and buckets by their bound as a number.
func compareIn(x, y labels.Labels) int {
	if c := cmp.Compare(x.Get(model.MetricNameLabel), y.Get(model.MetricNameLabel)); c != 0 {
		return c
	}
	without := func(ls labels.Labels) labels.Labels { return ls.MatchLabels(false, labels.BucketLabel) }
	if x.Has(labels.BucketLabel) && y.Has(labels.BucketLabel) {
		if c := labels.Compare(without(x), without(y)); c != 0 {
			return c
		}
		return cmp.Compare(bound(x), bound(y))
	}
	return labels.Compare(x, y)
}

func bound(ls labels.Labels) float64 {
	f, err := strconv.ParseFloat(ls.Get(labels.BucketLabel), 64)
	if err != nil {
		return 0
	}
	return f
}

func appendSample(b []byte, s promql.Sample) []byte {
	b = append(b, s.Metric.Get(model.MetricNameLabel)...)
	open := byte('{')
	s.Metric.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		b = append(append(append(b, open), l.Name...), `="`...)
		b = append(append(b, escape.Replace(l.Value)...), '"')
		open = ','
	})
	if open == ',' {
		b = append(b, '}')
	}
	return append(strconv.AppendFloat(append(b, ' '), s.F, 'g', -1, 64), '\n')
}

var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// families yields the families of sorted names and their types, as the ends of the names say: a histogram has buckets.
func families(names []string) iter.Seq2[string, string] {
	has := func(name string) bool { _, ok := slices.BinarySearch(names, name); return ok }
	return func(yield func(string, string) bool) {
		for _, name := range names {
			family, kind := name, "gauge"
			base, bucket := strings.CutSuffix(name, "_bucket")
			sum, isSum := strings.CutSuffix(name, "_sum")
			count, isCount := strings.CutSuffix(name, "_count")
			switch {
			case bucket:
				family, kind = base, "histogram"
			case isSum && has(sum+"_bucket"), isCount && has(count+"_bucket"):
				continue // yielded with its buckets
			case strings.HasSuffix(name, "_total"):
				kind = "counter"
			}
			if !yield(family, kind) {
				return
			}
		}
	}
}

// members returns the names that the samples of a family have.
func members(family, kind string) []string {
	if kind == "histogram" {
		return []string{family + "_bucket", family + "_sum", family + "_count"}
	}
	return []string{family}
}
