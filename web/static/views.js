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
