package httpapi

import (
	"context"
	"net"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"rhumb"
)

// withActor adds the user at the other end of a connection to its context. Only a unix socket shows one.
func withActor(ctx context.Context, conn net.Conn) context.Context {
	uid, ok := peer(conn)
	if !ok {
		return ctx
	}
	a := rhumb.Actor{Name: userName(uid)}
	a.Host, _ = os.Hostname() // without it, a claim of the same user is recorded too
	return rhumb.WithActor(ctx, a)
}

// peer returns the user ID of the process that connected a unix socket, as the kernel noted it at that time.
func peer(conn net.Conn) (uid uint32, ok bool) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if ok = err == nil; ok {
			uid = cred.Uid
		}
	})
	return uid, ok && err == nil
}

// userName returns a user's name, or "uid 1000" if the user has none here.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + id
}
