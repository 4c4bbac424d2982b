package main

import (
	"fmt"
	"strings"
)

// firstPort is the host port of the first service. The floor's containers publish none.
const firstPort = 24500

// oneService returns a Compose file with one service, which differs in each round.
func oneService(o options, round int) string {
	return "services:\n" + service(o, 0, round)
}

// manyServices returns a Compose file with n services.
func manyServices(o options, n int) string {
	var b strings.Builder
	b.WriteString("services:\n")
	for i := range n {
		b.WriteString(service(o, i, 0))
	}
	return b.String()
}

// quietService returns a Compose file with one service, whose n replicas do nothing.
func quietService(o options, n int) string {
	return fmt.Sprintf("services:\n  web:\n    image: %s\n    pull_policy: never\n    environment: {ADDR: none}\n"+
		"    deploy: {replicas: %d, update_config: {parallelism: %d}}\n", o.image, n, n)
}

// service has an HTTP check, because a connect alone counts only after rhumb.ReadyWindow.
func service(o options, i, round int) string {
	return fmt.Sprintf(`  web%d:
    image: %s
    pull_policy: never
    environment: {ADDR: ":8000", START_DELAY: "%s", ROUND: "%d"}
    ports: ["127.0.0.1:%d:8000"]
    x-rhumb: {ready: {http: /}}
`, i, o.image, o.delay, round, firstPort+i)
}
