package docker_test

import (
	"testing"
	"time"

	"rhumb"
)

func TestACommandOfOneWordThatIsLeftIsKilledBeforeItIsBegunAgain(t *testing.T) {
	e := need(t)
	r := start(t, e, spec(t, stackName(t), "web", 1))
	begin := func(once string) <-chan int {
		before := processes(t, r.ID)
		ended := make(chan int, 1)
		go func() {
			code, err := e.Exec(t.Context(), r.ID, rhumb.ExecOptions{Command: []string{"/app", "sleep", "1h"}, Once: once})
			if err != nil {
				code = -1
			}
			ended <- code
		}()
		within(t, 10*time.Second, "it runs", func() bool { return processes(t, r.ID) != before })
		return ended
	}
	first, other := begin("post_start"), begin("pre_stop")
	go func() {
		// ends with the test
		_, _ = e.Exec(t.Context(), r.ID, rhumb.ExecOptions{Command: []string{"/app", "sleep", "1h"}, Once: "post_start"})
	}()
	select {
	case code := <-first:
		if code != 137 {
			t.Errorf("it ended with %d", code)
		}
	case <-time.After(10 * time.Second):
		t.Error("the first one goes on")
	}
	select {
	case code := <-other:
		t.Errorf("one of another word has ended with %d", code)
	default:
	}
}
