package e2e

import (
	"strings"
	"testing"
)

// keyStacks and keyTests are the cases.
var (
	keyStacks = []keyStack{insideStack, namespaceStack, limitStack, networkStack, fileStack, buildStack, hookStack}
	keyTests  = []keyTest{
		{"stopping", "stop_signal stop_grace_period", stopKeys},
		{"depending", "depends_on.NAME.condition depends_on.NAME.restart depends_on.NAME.required " +
			"deploy.mode deploy.mode=replicated-job " +
			"deploy.mode=global-job scale deploy.replicas pull_policy=daily pull_policy=weekly pull_policy=every_… " +
			"pull_policy=refresh pull_refresh_after", dependKeys},
		{"restarting", "restart deploy.restart_policy.condition deploy.restart_policy.delay " +
			"deploy.restart_policy.max_attempts healthcheck.start_interval", restartKeys},
		{"publishing", "ports[].target ports[].published ports[].host_ip ports[].protocol " +
			"ports[].mode ports[].app_protocol=http " +
			"ports[].app_protocol=HTTP ports[].app_protocol=http/1.1", portKeys},
		{"updating", "deploy.update_config.parallelism deploy.update_config.delay " +
			"deploy.update_config.order deploy.update_config.monitor " +
			"deploy.update_config.failure_action deploy.update_config.max_failure_ratio " +
			"deploy.rollback_config.parallelism deploy.rollback_config.delay", updateKeys},
	}
)

// shownElsewhere names the tests that show keys, in the folders of other packages.
var shownElsewhere = []struct{ keys, folder, test string }{
	{"deploy.rollback_config.monitor deploy.rollback_config.failure_action deploy.rollback_config.max_failure_ratio",
		"rollout",
		"TestFailuresAreCountedAgainstTheRatio"},
}

// keyTest shows keys in a way of its own.
type keyTest struct {
	name string
	keys string
	run  func(t *testing.T, s *server)
}

// allKeyTests returns the tests of keys whose stack doesn't simply work at once.
func allKeyTests() []keyTest {
	list := keyTests
	for _, r := range keyRefusals {
		list = append(list, keyTest{r.name, r.keys, r.run})
	}
	for _, n := range newerStacks {
		var all []string
		for _, c := range n.shown {
			all = append(all, c.keys)
		}
		list = append(list, keyTest{n.name, strings.Join(all, " "), n.run})
	}
	return list
}
