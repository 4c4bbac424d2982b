package httpapi

import (
	"context"
	"net/http"

	"rhumb"
)

type whyInput struct {
	Stack   string `query:"stack" doc:"the stack; none: all stacks and the machine"`
	Service string `query:"service" doc:"the service; none: all of the stack's"`
	Since   string `query:"since" doc:"when the time to explain begins (RFC 3339); none: an hour before until"`
	Until   string `query:"until" doc:"when it ends; none: now"`
}

func (a *api) explainer(s rhumb.Explainer) {
	handle(a, op("why", http.MethodGet, "/why", "Find out what most likely began a trouble"),
		func(ctx context.Context, in *whyInput) (rhumb.Explanation, error) {
			q := rhumb.WhyQuery{Stack: in.Stack, Service: in.Service}
			var err error
			if q.Since, q.Until, err = timesOf(in.Since, in.Until); err != nil {
				return rhumb.Explanation{}, err
			}
			return s.Why(ctx, q)
		})
}
