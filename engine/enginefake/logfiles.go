package enginefake

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rhumb"
)

// logFolder is where replicas keep their lines in files.
type logFolder struct {
	path    string
	maxSize int64
	maxFile int
}

// logFiles are the files that hold what replicas wrote.
type logFiles struct{ *state }

// KeepLogFiles makes replicas that are started from now on keep their lines in files below a folder, as Docker's
// json-file driver does with max-size and max-file. Without it only Logs has the lines.
func (ls *logFiles) KeepLogFiles(folder string, maxSize int64, maxFile int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.files = &logFolder{folder, maxSize, maxFile}
}

// LogFile returns the file of a replica; nil if it has none. What a test writes to it is what the replica writes.
func (ls *logFiles) LogFile(id string) *LogFile {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if r := ls.byID(id); r != nil {
		return r.log
	}
	return nil
}

// Writers lists all replicas.
func (ls *logFiles) Writers(ctx context.Context) ([]rhumb.LogWriter, error) {
	if err := ls.enter(ctx, "Writers"); err != nil {
		return nil, err
	}
	defer ls.mu.Unlock()
	now := ls.now()
	list := make([]rhumb.LogWriter, 0, len(ls.replicas))
	for _, r := range ls.replicas {
		v := r.at(now)
		w := rhumb.LogWriter{Started: v.Started, Finished: v.Finished, TTY: r.spec.Container.TTY, Line: rhumb.LogLine{
			Stack: v.Stack, Service: v.Service, Replica: r.name, Container: v.ID, Release: v.Release}}
		if r.log != nil {
			w.File = r.log.Path
		}
		list = append(list, w)
	}
	return list, nil
}

// open creates the file of a replica that has started, with the lines of its behaviour. It panics if the file can't be
// written: a test's folder is gone.
func (f *logFolder) open(r *replica) {
	if f == nil || r.base.Started.IsZero() {
		return
	}
	dir := filepath.Join(f.path, r.base.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		panic(err)
	}
	r.log = &LogFile{Path: filepath.Join(dir, r.base.ID+"-json.log"), MaxSize: f.maxSize, MaxFile: f.maxFile}
	if err := r.log.WriteRaw(nil); err != nil {
		panic(err)
	}
	for i, text := range r.behaviour.Output {
		text, stderr := strings.CutPrefix(text, "!")
		if err := r.log.Write(r.base.Started.Add(time.Duration(i)*time.Microsecond), stderr, text+"\n"); err != nil {
			panic(err)
		}
	}
}

// dropLog removes the replica's file.
func (r *replica) dropLog() {
	if r.log == nil {
		return
	}
	_ = r.log.Close()
	_ = os.RemoveAll(filepath.Dir(r.log.Path)) // the test's folder may be gone
}
