package docker_test

import (
	"strings"
	"testing"
	"time"
)

func TestUsageNamesWhatTakesDiskSpace(t *testing.T) {
	e := need(t)
	image(t)
	begun := time.Now()
	text, err := e.Usage(t.Context())
	if err != nil || !strings.Contains(text, "images ") || !strings.Contains(text, " GB") {
		t.Errorf("%q, %v", text, err)
	}
	t.Logf("%s, after %v", text, time.Since(begun))
	begun = time.Now()
	freed, err := e.TrimCache(t.Context()) // a cache within its limit stays as it is
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d bytes trimmed, after %v", freed, time.Since(begun))
}
