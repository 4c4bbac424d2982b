package docker

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/loglines"
	"rhumb/engine/docker/internal/observed"
)

// logs are what replicas wrote.
type logs struct{ *conn.Conn }

// Logs yields what a replica wrote, as the engine's log driver kept it. It yields Unsupported for a driver that can't
// be read.
func (l *logs) Logs(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		if err := l.read(ctx, id, o, yield); err != nil {
			yield(rhumb.LogLine{}, err)
		}
	}
}

// read passes the lines of a replica to yield.
func (l *logs) read(ctx context.Context, id string, o rhumb.LogOptions, yield func(rhumb.LogLine, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	look, cancelLook := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancelLook()
	c, err := l.Container(look, id)
	if err != nil {
		return err
	}
	stream, err := l.API.ContainerLogs(ctx, c.ID, logOptions(o))
	if err != nil {
		failed := l.Fail(err, "read the logs of "+observed.Name(c))
		if strings.Contains(err.Error(), "does not support reading") {
			return rhumb.Errorf(rhumb.Unsupported, "read the logs of %s: its log driver %s can't be read", observed.Name(c),
				c.HostConfig.LogConfig.Type).
				WithHint("look where the driver sends them, or use the json-file or local driver")
		}
		return failed
	}
	defer stream.Close()
	err = loglines.Read(stream, c.Config.Tty, lineFor(c), yield)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return l.Fail(ctx.Err(), "read the logs of "+observed.Name(c))
	}
	return l.Fail(err, "read the logs of "+observed.Name(c))
}

// logOptions maps the options.
func logOptions(o rhumb.LogOptions) client.ContainerLogsOptions {
	l := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: o.Follow, Tail: "all"}
	if o.Tail > 0 {
		l.Tail = strconv.Itoa(o.Tail)
	}
	if o.Tail < 0 {
		l.Tail = "0"
	}
	if !o.Since.IsZero() {
		l.Since = seconds(o.Since)
	}
	if !o.Until.IsZero() {
		l.Until = seconds(o.Until)
	}
	return l
}

// seconds formats a time for the engine's API.
func seconds(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func lineFor(c *container.InspectResponse) rhumb.LogLine {
	return rhumb.LogLine{Stack: c.Config.Labels[label.Stack], Service: c.Config.Labels[label.Service],
		Replica: observed.Name(c)}
}
