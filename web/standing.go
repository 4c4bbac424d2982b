package web

import "rhumb"

// standing is how a stack, a deployment or a replica stands, in one word and one colour.
type standing struct {
	Word   string
	Tone   string // "ok", "run", "warn", "bad", or "" for neither
	Ready  int    // replicas of services that aren't jobs
	Wanted int
}

// standingOf returns how a stack stands.
func standingOf(st rhumb.StackInfo) standing {
	s := standing{}
	for _, svc := range st.Services {
		if !svc.Job {
			s.Ready, s.Wanted = s.Ready+min(svc.Ready, svc.Replicas), s.Wanted+svc.Replicas
		}
	}
	d := st.Deployment
	switch {
	case d != nil && !d.Phase.Ended():
		s.Word, s.Tone = phaseWord(d.Phase), "run"
	case d != nil && d.Phase == rhumb.PhaseStuck:
		s.Word, s.Tone = "stuck", "bad"
	case st.Release == 0:
		s.Word = "down"
	case s.Wanted > 0 && s.Ready == 0:
		s.Word, s.Tone = "not serving", "bad"
	case s.Ready < s.Wanted:
		s.Word, s.Tone = "degraded", "warn"
	case d != nil && d.Phase == rhumb.PhasePaused:
		s.Word, s.Tone = "paused", "warn"
	case d != nil && d.Phase == rhumb.PhaseIncomplete:
		s.Word, s.Tone = "incomplete", "warn"
	default:
		s.Word, s.Tone = "serving", "ok"
	}
	return s
}

// standingOfDeployment returns how a deployment stands.
func standingOfDeployment(d rhumb.Deployment) standing {
	s := standing{Word: phaseWord(d.Phase), Tone: "bad"}
	switch {
	case d.Phase == rhumb.PhaseConverged:
		s.Tone = "ok"
	case !d.Phase.Ended():
		s.Tone = "run"
	case d.Phase == rhumb.PhasePaused || d.Phase == rhumb.PhaseIncomplete:
		s.Tone = "warn"
	case d.Phase == rhumb.PhaseRolledBack && d.Cancel:
		s.Word, s.Tone = "cancelled", "warn"
	}
	return s
}

// phaseWord returns a phase as the verdicts say it.
func phaseWord(p rhumb.Phase) string {
	switch p {
	case rhumb.PhaseRollingBack:
		return "putting back"
	case rhumb.PhaseRolledBack:
		return "put back"
	}
	return string(p)
}

// standingOfReplica returns how a replica stands.
func standingOfReplica(r rhumb.ReplicaStatus, job bool) standing {
	switch {
	case r.Routed == "draining":
		return standing{Word: "draining", Tone: "old"}
	case job && r.State == rhumb.StateExited && r.ExitCode == 0 && r.Error == "":
		return standing{Word: "completed", Tone: "done"}
	case r.State == rhumb.StateExited || r.Health == rhumb.HealthUnhealthy:
		return standing{Word: "failed", Tone: "bad"}
	case r.Ready:
		return standing{Word: "ready", Tone: "ok"}
	}
	return standing{Word: "starting", Tone: "start"}
}
