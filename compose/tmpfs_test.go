package compose

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

func TestAMemoryFileSystemHasTheOptionsOfMount(t *testing.T) {
	for says, want := range map[string]rhumb.Mount{
		"/t":                                {},
		"/t:rw,noexec,nosuid,nodev":         {},
		"/t:size=64m,mode=1770,ro":          {Size: 64 << 20, Mode: 0o1770, ReadOnly: true},
		"/t:exec,uid=1000,gid=1001,noatime": {Options: []string{"exec", "uid=1000", "gid=1001", "noatime"}},
		"/t:size=50%,nr_inodes=10k,suid":    {Options: []string{"size=50%", "nr_inodes=10k", "suid"}},
		"/t:exec,noexec,size=1k":            {Size: 1 << 10},
	} {
		want.Type, want.Target = rhumb.MountTmpfs, "/t"
		s := only(t, t.TempDir(), "services: {web: {image: x, tmpfs: '"+says+"'}}")
		if diff := cmp.Diff(want, s.Container.Mounts[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", says, diff)
		}
	}
}

func TestUnknownOptionsOfMemoryFileSystemsAreMistakes(t *testing.T) {
	for _, option := range []string{"exce", "uid=www", "size=big", "mode=9", "size", "remount", "exec=1", "uid=-1",
		"size=x%"} {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", "services:\n  web:\n    image: x\n    tmpfs:\n      - /t:"+option+"\n")
		_, err := Load(t.Context(), Options{Dir: dir})
		if err == nil || !strings.HasPrefix(err.Error(), "compose.yaml:5: web.tmpfs: ") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
