package web

import (
	"context"
	"iter"

	"rhumb"
)

func (w *world) Plan(context.Context, rhumb.DeployRequest) (rhumb.Plan, error) { return w.plan, w.down }

func (w *world) Deploy(context.Context, rhumb.DeployRequest, func(rhumb.Event)) (rhumb.Deployment, error) {
	return rhumb.Deployment{}, rhumb.Errorf(rhumb.Unsupported, "the dashboard doesn't deploy")
}

func (w *world) Change(_ context.Context, r rhumb.ChangeRequest) (rhumb.Deployment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied != nil {
		return rhumb.Deployment{}, w.denied
	}
	w.asked = append(w.asked, r)
	return rhumb.Deployment{ID: 900, Stack: r.Stack}, w.down
}

func (w *world) PlanChange(_ context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	if w.down != nil {
		return rhumb.Plan{}, w.down
	}
	return w.plan, w.denied
}

func (w *world) Cancel(_ context.Context, stack string, id int64, _ string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied != nil {
		return w.denied
	}
	for i, d := range w.deployed {
		if d.Stack == stack && d.ID == id && !d.Phase.Ended() {
			w.deployed[i].Cancel = true
			return w.deployed[i].Move(rhumb.PhaseRollingBack, noon, "cancelled by dashboard")
		}
	}
	return rhumb.Errorf(rhumb.Conflict, "deployment %d has ended", id)
}

func (w *world) Query(_ context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noMetrics != nil || w.metric == nil {
		return nil, w.noMetrics
	}
	return w.metric(q), nil
}

func (w *world) Alerts(_ context.Context, stack string) ([]rhumb.Alert, error) {
	var list []rhumb.Alert
	for _, a := range w.alerts {
		if stack == "" || a.Stack == stack {
			list = append(list, a)
		}
	}
	return list, w.noAlerts
}

func (w *world) AlertRules(context.Context) ([]rhumb.AlertRule, error) { return w.rules, w.noAlerts }

func (w *world) TestAlert(context.Context) ([]rhumb.AlertReceiver, error) {
	return w.receivers, w.noAlerts
}

func (w *world) AlertReceivers(context.Context) ([]rhumb.AlertReceiver, error) {
	return w.receivers, w.noAlerts
}

func (w *world) Silences(context.Context) ([]rhumb.Silence, error) { return w.silences, w.noAlerts }

func (w *world) Silence(_ context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noAlerts != nil {
		return rhumb.Silence{}, w.noAlerts
	}
	s.ID, s.Made = "s1", noon
	w.silences = append(w.silences, s)
	return s, nil
}

func (w *world) RemoveSilence(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.silences {
		if s.ID == id {
			w.silences = append(w.silences[:i:i], w.silences[i+1:]...)
			return nil
		}
	}
	return rhumb.Errorf(rhumb.NotFound, "there is no silence %s", id)
}

func (w *world) Lines(ctx context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	if w.noLogs != nil {
		return func(yield func(rhumb.LogLine, error) bool) { yield(rhumb.LogLine{}, w.noLogs) }
	}
	return w.logs.Lines(ctx, q)
}

func (w *world) LogCounts(ctx context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	if w.noLogs != nil {
		return nil, w.noLogs
	}
	return w.logs.LogCounts(ctx, q)
}

func (w *world) Why(context.Context, rhumb.WhyQuery) (rhumb.Explanation, error) {
	return w.why, w.noWhy
}
