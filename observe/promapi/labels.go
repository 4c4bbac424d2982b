package promapi

import (
	"net/http"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"rhumb/observe/metrics"
)

// selection returns the series that a request chooses.
func selection(r *http.Request) (sel metrics.Selection, err error) {
	sel.Match = r.Form["match[]"]
	if sel.Since, err = timeOf(r, "start", time.Time{}); err != nil {
		return sel, err
	}
	if sel.Until, err = timeOf(r, "end", time.Time{}); err != nil {
		return sel, err
	}
	if !sel.Until.IsZero() && sel.Until.Before(sel.Since) {
		return sel, badData("end is before start")
	}
	sel.Limit, err = limitOf(r)
	return sel, err
}

func (a *api) labels(r *http.Request) ([]byte, []string, error) {
	return a.list(r, func(sel metrics.Selection) ([]string, error) { return a.Store.LabelNames(r.Context(), sel) })
}

func (a *api) labelValues(r *http.Request) ([]byte, []string, error) {
	name := r.PathValue("name")
	if name == "" {
		return nil, nil, badData("the name of the label is missing")
	}
	return a.list(r, func(sel metrics.Selection) ([]string, error) {
		return a.Store.LabelValues(r.Context(), name, sel)
	})
}

// list answers with what read returns for the chosen series.
func (a *api) list(r *http.Request, read func(metrics.Selection) ([]string, error)) ([]byte, []string, error) {
	sel, err := selection(r)
	if err != nil {
		return nil, nil, err
	}
	var list []string
	err = a.inTurn(r.Context(), func() (err error) {
		list, err = read(sel)
		return err
	})
	if list == nil {
		list = []string{}
	}
	return appendJSON(nil, list), nil, err
}

func (a *api) series(r *http.Request) ([]byte, []string, error) {
	sel, err := selection(r)
	if err != nil {
		return nil, nil, err
	}
	if len(sel.Match) == 0 {
		return nil, nil, badData("no match[] parameter provided")
	}
	var all []labels.Labels
	err = a.inTurn(r.Context(), func() (err error) {
		all, err = a.Store.SeriesLabels(r.Context(), sel)
		return err
	})
	b := []byte{'['}
	for _, ls := range all {
		b = appendLabels(comma(b), ls)
	}
	return append(b, ']'), nil, err
}

// metadata answers with the types of all metrics of the last hour, which their names say.
func (a *api) metadata(r *http.Request) ([]byte, []string, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	err = a.inTurn(r.Context(), func() (err error) {
		hour := metrics.Selection{Since: time.Now().Add(-time.Hour)}
		names, err = a.Store.LabelValues(r.Context(), model.MetricNameLabel, hour)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	type meta struct {
		Type string `json:"type"`
		Help string `json:"help"`
		Unit string `json:"unit"`
	}
	only, all := r.Form.Get("metric"), map[string][]meta{}
	for family, kind := range families(names) {
		if (only == "" || only == family) && (limit == 0 || len(all) < limit) {
			all[family] = []meta{{Type: kind}}
		}
	}
	return appendJSON(nil, all), nil, nil
}
