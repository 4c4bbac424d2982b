package rhumb

import "context"

// Actor is the user behind a call, as the server knows it from the connection and not from what the client says. The
// zero Actor is unknown: the call comes from the daemon itself, or over a connection that shows no user.
type Actor struct {
	Name string // "ada", or "uid 1000" for a user without a name
	Host string // the machine that the user belongs to: the server
}

// By returns what is recorded as the author of a change: the actor's name. The client's claim ("ada@laptop") follows it
// in parentheses, unless it is empty or says the same. The claim of an unknown actor stands alone.
func (a Actor) By(claim string) string {
	switch {
	case a.Name == "":
		return claim
	case claim == "" || claim == a.Name || claim == a.Name+"@"+a.Host:
		return a.Name
	}
	return a.Name + " (" + claim + ")"
}

type actorKey struct{}

// WithActor returns a context for calls of an actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns the actor of a call; the zero Actor if the context has none.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
