package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"rhumb"
)

// maker is how the dashboard calls itself where a change says who asked for it.
const maker = "dashboard"

// confirmView is the data of the page that asks before a change.
type confirmView struct {
	Stack    string
	Question string
	Text     string
	Post     string // where the form goes
	Fields   []field
	Button   string
	Danger   bool
	Back     string
	Plan     *rhumb.Plan
	PlanErr  error
	// Of a rollback: the releases to choose from. Of scaling: the number of replicas.
	Releases []rhumb.ReleaseInfo
	Release  int
	Service  string
	Replicas int
}

// field is a hidden field of a form.
type field struct{ Name, Value string }

// rollbackPage asks whether to roll a stack back, and shows what that would do.
func rollbackPage(s *server, r *http.Request) (view, error) {
	name := r.PathValue("stack")
	releases, err := s.History.Releases(r.Context(), name)
	if err != nil {
		return view{}, err
	}
	v := confirmView{Stack: name, Button: "Roll back", Danger: true, Text: "Images, configuration, secrets and project " +
		"files become those of that release. What an application or a migration wrote to its data stays as it is."}
	asked := number(r.URL.Query().Get("release"))
	for _, rel := range releases {
		if !rel.Served || rel.Current {
			continue
		}
		v.Releases = append(v.Releases, rel)
		if v.Release == 0 && asked == 0 || rel.Number == asked {
			v.Release = rel.Number
		}
	}
	if v.Release == 0 {
		return view{}, rhumb.Errorf(rhumb.NotFound, "stack %s has no such release to go back to", name).
			WithHint("a rollback goes to a release that has served before")
	}
	v.Question = fmt.Sprintf("Roll %s back to release %d?", name, v.Release)
	return confirm(s, r, v, rhumb.ChangeRequest{Stack: name, Cause: rhumb.CauseRollback, Release: v.Release})
}

// restartPage asks whether to restart a stack or one of its services.
func restartPage(s *server, r *http.Request) (view, error) {
	name, service := r.PathValue("stack"), r.URL.Query().Get("service")
	v := confirmView{Stack: name, Service: service, Button: "Restart", Question: fmt.Sprintf("Restart all of %s?", name),
		Text: "Each replica is replaced by a new one of the same release, in the same order as in a deployment."}
	req := rhumb.ChangeRequest{Stack: name, Cause: rhumb.CauseRestart}
	if service != "" {
		v.Question, req.Services = fmt.Sprintf("Restart %s of %s?", service, name), []string{service}
	}
	return confirm(s, r, v, req)
}

// scalePage asks for the number of replicas of a service.
func scalePage(s *server, r *http.Request) (view, error) {
	name, service := r.PathValue("stack"), r.URL.Query().Get("service")
	st, err := s.Stacks.Status(r.Context(), name)
	if err != nil {
		return view{}, err
	}
	now := -1
	for _, svc := range st.Services {
		if svc.Name == service && !svc.Job {
			now = svc.Replicas
		}
	}
	if now < 0 {
		return view{}, rhumb.Errorf(rhumb.NotFound, "stack %s has no service %s to scale", name, service)
	}
	v := confirmView{Stack: name, Service: service, Replicas: now, Button: "Scale",
		Question: fmt.Sprintf("How many replicas of %s?", service),
		Text:     "The next deployment goes by its Compose file again."}
	if !r.URL.Query().Has("replicas") {
		return confirm(s, r, v, rhumb.ChangeRequest{})
	}
	if v.Replicas, err = strconv.Atoi(r.URL.Query().Get("replicas")); err != nil || v.Replicas < 0 || v.Replicas > 999 {
		return view{}, rhumb.Errorf(rhumb.Invalid, "the number of replicas goes from 0 to 999")
	}
	v.Question = fmt.Sprintf("Scale %s from %d to %s?", service, now, plural(v.Replicas, "replica"))
	v.Danger = v.Replicas == 0
	return confirm(s, r, v, rhumb.ChangeRequest{Stack: name, Cause: rhumb.CauseScale,
		Scale: map[string]int{service: v.Replicas}})
}

// confirm returns the page that asks before a change, with the change's plan. Without a cause there is none yet.
func confirm(s *server, r *http.Request, v confirmView, req rhumb.ChangeRequest) (view, error) {
	v.Post = r.URL.Path
	v.Back = "/stacks/" + urlPath(v.Stack)
	if req.Cause != "" {
		ctx, cancel := context.WithTimeout(r.Context(), answerTime)
		defer cancel()
		plan, err := s.Deployer.PlanChange(ctx, req)
		v.Plan, v.PlanErr = &plan, err
		v.Fields = []field{{"cause", string(req.Cause)}, {"release", strconv.Itoa(req.Release)},
			{"service", v.Service}, {"replicas", strconv.Itoa(v.Replicas)}}
	}
	return view{Title: v.Question, Here: "/stacks", Page: v}, nil
}

// cancelPage asks whether to cancel a deployment.
func cancelPage(s *server, r *http.Request) (view, error) {
	name, id := r.PathValue("stack"), r.PathValue("id")
	d, err := s.History.Deployment(r.Context(), name, int64(number(id)))
	if err != nil {
		return view{}, err
	}
	if d.Phase.Ended() {
		return view{}, rhumb.Errorf(rhumb.Conflict, "deployment %d has ended: %s", d.ID, d.Verdict().Text)
	}
	back := "nothing of it is left"
	if d.From > 0 {
		back = fmt.Sprintf("release %d serves as before", d.From)
	}
	v := confirmView{Stack: name, Post: r.URL.Path, Button: "Cancel and put back", Danger: true,
		Question: fmt.Sprintf("Cancel deployment %d?", d.ID), Text: "It is put back: " + back + ".",
		Back: deploymentPath(name, d.ID), Fields: []field{{"id", strconv.FormatInt(d.ID, 10)}}}
	return view{Title: v.Question, Here: "/stacks", Page: v}, nil
}

// changeStack rolls a stack back, restarts it or scales it.
func changeStack(s *server, _ http.ResponseWriter, r *http.Request) (string, error) {
	req := rhumb.ChangeRequest{Stack: r.PathValue("stack"), Cause: rhumb.Cause(r.PostFormValue("cause")), By: maker}
	service := r.PostFormValue("service")
	switch req.Cause {
	case rhumb.CauseRollback:
		if req.Release = number(r.PostFormValue("release")); req.Release <= 0 {
			return "", rhumb.Errorf(rhumb.Invalid, "a rollback needs the number of a release")
		}
	case rhumb.CauseRestart:
		if service != "" {
			req.Services = []string{service}
		}
	case rhumb.CauseScale:
		n, err := strconv.Atoi(r.PostFormValue("replicas"))
		if err != nil || n < 0 || service == "" {
			return "", rhumb.Errorf(rhumb.Invalid, "scaling needs a service and a number of replicas")
		}
		req.Scale = map[string]int{service: n}
	default:
		return "", rhumb.Errorf(rhumb.Invalid, "the dashboard has no such change")
	}
	d, err := s.Deployer.Change(r.Context(), req)
	if err != nil {
		return "", err
	}
	s.Log.Info("change asked for", "stack", req.Stack, "cause", req.Cause, "deployment", d.ID)
	if d.ID == 0 { // there is nothing to change
		return "/stacks/" + urlPath(req.Stack), nil
	}
	return deploymentPath(req.Stack, d.ID), nil
}

// cancelDeployment cancels an open deployment.
func cancelDeployment(s *server, _ http.ResponseWriter, r *http.Request) (string, error) {
	stack, id := r.PathValue("stack"), int64(number(r.PathValue("id")))
	if id <= 0 {
		return "", rhumb.Errorf(rhumb.NotFound, "there is no such deployment")
	}
	if err := s.Deployer.Cancel(r.Context(), stack, id, maker); err != nil {
		return "", err
	}
	s.Log.Info("deployment cancelled", "stack", stack, "deployment", id)
	return deploymentPath(stack, id), nil
}

// number returns a number that a client wrote; 0 if it isn't one from 0 to a million.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<31 {
		return 0
	}
	return n
}

func urlPath(s string) string { return url.PathEscape(s) }

func deploymentPath(stack string, id int64) string {
	return fmt.Sprintf("/stacks/%s/deployments/%d", urlPath(stack), id)
}
