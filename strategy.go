package rhumb

// Applied returns the service as it changes under its strategy: StrategyRecreate makes it stop-first and has it change
// all its slots at once. It returns s itself where the strategy changes nothing, and nil for nil. Code that decides or
// shows how a service changes reads Order, OrderWhy and Update of the applied service.
func (s *Service) Applied() *Service {
	if s == nil || s.Strategy != StrategyRecreate {
		return s
	}
	applied := *s
	applied.Order, applied.OrderWhy, applied.Update.Parallelism = StopFirst, "strategy recreate", 0
	return &applied
}
