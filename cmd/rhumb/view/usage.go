package view

import (
	"io"
	"strconv"

	"rhumb"
)

// Usage is what a service or a replica uses now. What is nil isn't known.
type Usage struct {
	Stack    string
	Service  string
	Replica  string   `json:",omitzero"` // "": the whole service
	Release  int      `json:",omitzero"` // of a replica
	Replicas int      `json:",omitzero"` // of a service
	CPU      *float64 `json:",omitzero"` // CPUs
	Memory   *float64 `json:",omitzero"` // bytes
	Limit    *float64 `json:",omitzero"` // of its memory, in bytes; nil: none
	Received *float64 `json:",omitzero"` // bytes a second
	Sent     *float64 `json:",omitzero"` // bytes a second
	Open     *float64 `json:",omitzero"` // connections and requests in flight
	Requests *float64 `json:",omitzero"` // a second; of a service
	Errors   *float64 `json:",omitzero"` // a second; of a service
	P95      *float64 `json:",omitzero"` // seconds; of a service
}

// Usages prints a table of what services, or with replicas each replica, use.
func Usages(w io.Writer, list []Usage, replicas bool) {
	usageTable(paintOn(w), list, replicas).print(w)
}

func usageTable(p paint, list []Usage, replicas bool) *table {
	heads := []string{"SERVICE", "REPLICAS", "CPU", "MEMORY", "LIMIT", "NET IN", "NET OUT", "OPEN", "REQUESTS", "ERRORS",
		"P95"}
	if replicas {
		heads = append([]string{"REPLICA", "RELEASE"}, heads[2:8]...)
	}
	t := newTable(p, heads...)
	for _, u := range list {
		row := plain(u.Stack+"/"+u.Service, strconv.Itoa(u.Replicas))
		if replicas {
			row = plain(u.Replica, number(u.Release))
		}
		row = append(row, plain(figure(u.CPU, percent), figure(u.Memory, unitBytes.format), figure(u.Limit, unitBytes.format),
			figure(u.Received, unitByteRate.format), figure(u.Sent, unitByteRate.format), figure(u.Open, digits))...)
		row[3].code = fullness(u.share())
		if !replicas {
			row = append(row, plain(figure(u.Requests, unitRate.format), "-", figure(u.P95, span))...)
			row[9] = u.errors()
		}
		t.add(row...)
	}
	return t
}

// figure returns a number as text; "-" if it isn't known.
func figure(v *float64, format func(float64) string) string {
	if v == nil {
		return "-"
	}
	return format(*v)
}

// share returns which share of its limit a replica's memory takes; 0: there is no limit.
func (u Usage) share() float64 {
	if u.Memory == nil || u.Limit == nil || *u.Limit <= 0 {
		return 0
	}
	return *u.Memory / *u.Limit
}

// errors returns which share of the requests fail.
func (u Usage) errors() cell {
	if u.Errors == nil || u.Requests == nil || *u.Requests <= 0 {
		return cell{text: "-"}
	}
	c := cell{text: percent(*u.Errors / *u.Requests)}
	if *u.Errors > 0 {
		c.code = "31"
	}
	return c
}

// fullness returns the colour of something that has a limit.
func fullness(share float64) string {
	switch {
	case share >= 0.95:
		return "31"
	case share >= 0.85:
		return "33"
	}
	return ""
}

// Machine is how full a machine is. What is nil isn't known.
type Machine struct {
	Info   rhumb.ServerInfo
	Busy   *float64 `json:",omitzero"` // the share of its CPUs
	Load   *float64 `json:",omitzero"` // of the last minute
	Memory *float64 `json:",omitzero"` // the share that is taken
	Boot   *float64 `json:",omitzero"` // when it was started, as a Unix time
	Disks  []Disk   `json:",omitzero"`
}

// Disk is how full a file system is.
type Disk struct {
	Path string
	Size float64 // bytes
	Left float64 // bytes
}
