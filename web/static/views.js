// Zooms into a chart by a drag, and shows new lines of logs as they are written.
"use strict";
(() => {
	// A drag over a chart chooses a time.
	document.addEventListener("pointerdown", (e) => {
		const svg = e.target.closest && e.target.closest("[data-zoom] .chart-box > svg.chart");
		if (!svg || e.button !== 0) return;
		const { from, to } = svg.parentElement.dataset, box = svg.getBoundingClientRect(), begin = e.clientX;
		const sweep = document.createElementNS("http://www.w3.org/2000/svg", "rect");
		sweep.setAttribute("class", "sweep");
		sweep.setAttribute("height", "100%");
		svg.append(sweep);
		const ends = (x) => [Math.max(box.left, Math.min(begin, x)), Math.min(box.right, Math.max(begin, x))];
		const move = (m) => {
			const [a, b] = ends(m.clientX);
			sweep.setAttribute("x", a - box.left);
			sweep.setAttribute("width", b - a);
		};
		const done = (u) => {
			removeEventListener("pointermove", move);
			removeEventListener("pointerup", done);
			removeEventListener("pointercancel", done);
			sweep.remove();
			const [a, b] = ends(u.clientX);
			if (u.type !== "pointerup" || b - a < 8) return;
			const second = (x) => Math.floor(+from + (to - from) * (x - box.left) / box.width);
			const next = new URL(location.href);
			for (const name of ["range", "live"]) next.searchParams.delete(name);
			next.searchParams.set("from", second(a));
			next.searchParams.set("to", Math.max(second(b), second(a) + 5));
			addEventListener("click", (c) => c.preventDefault(), { capture: true, once: true });
			location.href = next.href;
		};
		addEventListener("pointermove", move);
		addEventListener("pointerup", done);
		addEventListener("pointercancel", done);
		e.preventDefault();
	});

	// A pointer over a chart shows the values at that time.
	const tip = document.createElement("div"), rule = document.createElementNS("http://www.w3.org/2000/svg", "line");
	tip.className = "tip";
	tip.setAttribute("aria-hidden", "true");
	rule.setAttribute("class", "rule");
	rule.setAttribute("y2", "150");
	const figure = (v, unit) => {
		const n = (x) => +x.toPrecision(3);
		if (unit === "s") return v < 1 ? n(v * 1000) + " ms" : n(v) + " s";
		if (unit === "%") return n(v * 100) + "%";
		if (unit[0] !== "B") return n(v) + unit;
		let i = 0;
		for (; Math.abs(v) >= 1000 && i < 4; i++) v /= 1000;
		return n(v) + " " + ["", "k", "M", "G", "T"][i] + unit;
	};
	// nearest returns the height of a path near a place, or nothing where it has a gap.
	const nearest = (path, at) => {
		let x = 0, y = 0, best = 12, found;
		for (const [, kind, a, b] of path.getAttribute("d").matchAll(/([Mlh])(-?\d+) ?(-?\d+)?/g)) {
			if (kind === "M") [x, y] = [+a, +b];
			else if (kind === "l") { x += +a; y += +b; }
			if (Math.abs(x - at) < best) { best = Math.abs(x - at); found = y; }
		}
		return found;
	};
	document.addEventListener("pointermove", (e) => {
		const svg = e.pointerType === "mouse" && e.target.closest && e.target.closest(".chart-box > svg.chart");
		const plot = svg && svg.querySelector("svg[data-high]");
		tip.replaceChildren();
		if (plot) {
			const box = svg.getBoundingClientRect(), at = (e.clientX - box.left) / box.width;
			const { from, to, east } = svg.parentElement.dataset, { low, high, unit } = plot.dataset;
			const height = plot.getAttribute("height");
			for (const path of plot.querySelectorAll("path.line")) {
				const y = nearest(path, at * 1000);
				if (y === undefined) continue;
				const row = document.createElement("div"), key = document.createElement("i");
				key.className = path.getAttribute("class").replace("line", "key");
				const value = +low + (1 - (y / 10 - 16) / (height - 17)) * (high - low);
				row.append(key, path.dataset.name + " " + figure(value, unit));
				tip.prepend(row);
			}
			if (tip.firstChild) {
				const time = new Date((+from + at * (to - from) + +east) * 1000).toISOString();
				tip.prepend(time.slice((to - from) > 86400 ? 5 : 11, 19).replace("T", " "));
				rule.setAttribute("x1", e.clientX - box.left);
				rule.setAttribute("x2", e.clientX - box.left);
				svg.append(rule);
				document.body.append(tip);
				tip.style.left = Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
				tip.style.top = e.clientY + 16 + "px";
				return;
			}
		}
		tip.remove();
		rule.remove();
	});

	// New lines of logs.
	const lines = document.getElementById("lines"), address = lines && lines.dataset.tail;
	if (!address) return;
	const state = document.getElementById("tailstate"), pause = document.getElementById("pause");
	const most = 1000;
	let paused = false, kept = [], skipped = 0;
	const end = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 60;
	const show = (parts) => {
		const follow = end();
		lines.insertAdjacentHTML("beforeend", parts.join(""));
		while (lines.childElementCount > most) lines.firstElementChild.remove();
		if (follow) scrollTo(0, document.documentElement.scrollHeight);
	};
	const say = () => {
		let text = paused ? "paused" + (kept.length ? ", new lines wait" : "") : "live";
		if (skipped) text += " · " + skipped + " lines came too fast to be shown";
		state.textContent = text;
	};
	pause.hidden = false;
	pause.addEventListener("click", () => {
		paused = !paused;
		pause.textContent = paused ? "Go on" : "Pause";
		if (!paused) { show(kept); kept = []; }
		say();
	});
	// A stream that breaks goes on after the last line that it has sent.
	const next = new URL(address, location.href);
	const connect = () => {
		const stream = new EventSource(next);
		const again = (text) => {
			stream.close();
			state.textContent = text + "; trying again";
			setTimeout(connect, 5000);
		};
		stream.addEventListener("open", say);
		stream.addEventListener("lines", (e) => {
			const batch = JSON.parse(e.data);
			next.searchParams.set("from", batch.Next);
			skipped += batch.Skipped || 0;
			if (!paused) show([batch.HTML]);
			else if (kept.push(batch.HTML) > 40) { kept.shift(); skipped++; }
			say();
		});
		stream.addEventListener("failed", (e) => again(JSON.parse(e.data)));
		stream.addEventListener("error", () => again("no connection"));
	};
	connect();
	scrollTo(0, document.documentElement.scrollHeight);
})();
