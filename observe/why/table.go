package why

import "rhumb"

// effects says how well a kind of happening can explain a symptom, 0 to 1. What isn't in the table, it can't.
var effects = map[rhumb.HappeningKind]map[symptom]float64{
	rhumb.HappenedRelease: {failed: 1, slow: 1, lost: 0.9, down: 0.9, crashed: 1, killed: 0.95, swollen: 0.95,
		starved: 0.95, sick: 1, noisy: 1, fewer: 0.6, weak: 0.9, aborted: 1, slowDisk: 0.5, hot: 0.9},
	rhumb.HappenedRollback: {failed: 0.9, slow: 0.9, lost: 0.8, down: 0.8, crashed: 0.9, killed: 0.8, swollen: 0.8,
		starved: 0.8, sick: 0.9, noisy: 0.9, fewer: 0.5, weak: 0.8, slowDisk: 0.4, hot: 0.8},
	rhumb.HappenedRestart: {failed: 0.8, slow: 0.8, lost: 0.9, down: 0.7, crashed: 0.7, sick: 0.6, noisy: 0.7, weak: 0.9,
		starved: 0.5},
	rhumb.HappenedScale: {failed: 0.9, slow: 1, lost: 0.95, down: 0.7, starved: 0.95, sick: 0.6, noisy: 0.7, weak: 0.95,
		crashed: 0.4, swollen: 0.4, fewer: 0.5},
	rhumb.HappenedCrash: {failed: 0.9, slow: 0.6, lost: 1, down: 1, crashed: 0.9, sick: 0.8, noisy: 0.8, weak: 1,
		fewer: 0.4},
	rhumb.HappenedOOM: {failed: 0.9, slow: 0.6, lost: 1, down: 1, crashed: 1, killed: 0.9, sick: 0.8, noisy: 0.8, weak: 1,
		fewer: 0.4, swollen: 0.2},
	rhumb.HappenedMemory: {killed: 1, crashed: 0.9, slow: 0.7, failed: 0.6, lost: 0.7, down: 0.7, noisy: 0.5, sick: 0.6,
		hostMemory: 0.8, weak: 0.7, swollen: 1},
	rhumb.HappenedThrottled: {slow: 0.95, failed: 0.6, sick: 0.6, lost: 0.5, weak: 0.9, noisy: 0.4, down: 0.4},
	rhumb.HappenedUnhealthy: {failed: 0.7, lost: 0.8, down: 0.95, slow: 0.5, sick: 1, weak: 0.9, noisy: 0.5, fewer: 0.3,
		aborted: 0.9, crashed: 0.4},
	rhumb.HappenedDependency: {failed: 0.95, slow: 0.95, lost: 0.6, sick: 0.8, crashed: 0.8, down: 0.7, noisy: 0.9,
		weak: 0.8, fewer: 0.3},
	rhumb.HappenedTraffic: {slow: 0.9, failed: 0.8, starved: 1, killed: 0.8, swollen: 0.7, lost: 0.7, sick: 0.6, weak: 0.9,
		noisy: 0.7, slowDisk: 0.7, crashed: 0.6, down: 0.5, hot: 1},
	rhumb.HappenedDisk: {failed: 0.95, slow: 0.95, crashed: 0.95, sick: 0.85, noisy: 0.95, down: 0.8, lost: 0.7,
		weak: 0.95, filled: 1, aborted: 0.7},
	rhumb.HappenedHostCPU: {slow: 0.98, failed: 0.6, sick: 0.8, lost: 0.5, weak: 0.9, noisy: 0.5, aborted: 0.4, down: 0.5,
		starved: 0.3},
	rhumb.HappenedHostMemory: {killed: 0.98, slow: 0.85, crashed: 0.9, failed: 0.7, down: 0.8, lost: 0.8, sick: 0.7,
		noisy: 0.6, weak: 0.9, slowDisk: 0.6},
	rhumb.HappenedEngine: {lost: 1, down: 1, failed: 0.9, crashed: 1, sick: 0.9, slow: 0.6, noisy: 0.8, fewer: 0.8,
		proxyAway: 0.9, weak: 0.9, aborted: 0.8},
	rhumb.HappenedProxy:       {lost: 1, failed: 0.8, fewer: 0.9, slow: 0.5, noisy: 0.4, proxyAway: 1},
	rhumb.HappenedCertificate: {worn: 1, fewer: 1, failed: 0.9, noisy: 0.9, weak: 0.6, sick: 0.7},
	rhumb.HappenedLog:         {noisy: 1},
}

// elsewhere says how well a kind of happening at one service explains what is worse at another one of the stack.
var elsewhere = map[rhumb.HappeningKind]float64{
	rhumb.HappenedRelease: 0.7, rhumb.HappenedRollback: 0.7, rhumb.HappenedRestart: 0.75, rhumb.HappenedScale: 0.75,
	rhumb.HappenedCrash: 0.85, rhumb.HappenedOOM: 0.85, rhumb.HappenedMemory: 0.5, rhumb.HappenedThrottled: 0.75,
	rhumb.HappenedUnhealthy: 0.8, rhumb.HappenedDependency: 1, rhumb.HappenedTraffic: 0.75, rhumb.HappenedDisk: 0.85,
}

// depth orders kinds: an effect of another happening has the greater depth.
var depth = map[rhumb.HappeningKind]int{
	rhumb.HappenedDisk: 1, rhumb.HappenedProxy: 1, rhumb.HappenedMemory: 1, rhumb.HappenedThrottled: 2,
	rhumb.HappenedHostMemory: 2, rhumb.HappenedOOM: 3, rhumb.HappenedCrash: 4, rhumb.HappenedUnhealthy: 5,
	rhumb.HappenedDependency: 6, rhumb.HappenedLog: 7,
}

// depthOf returns the depth of a happening: fewer requests, and a release that was put back, are mostly an effect.
func (h *happening) depthOf() int {
	if h.effect && (h.Kind == rhumb.HappenedTraffic || h.Kind == rhumb.HappenedRollback) {
		return 7
	}
	return depth[h.Kind]
}
