// Keeps a page up to date: upon each "changed" of its stream it loads the page again and replaces the regions that
// differ. Without it, pages are complete, and stay as they are.
"use strict";
(() => {
	const pulse = document.getElementById("pulse");
	const say = (state, text) => {
		if (!pulse || pulse.firstElementChild.textContent === text) return;
		pulse.className = "pulse " + state;
		pulse.firstElementChild.textContent = text;
	};

	// swap replaces what is in a region, and leaves alone what the reader is at: open details, the focus, a form that is
	// being filled in. The region itself stays, because screen readers listen to it.
	const swap = (old, next) => {
		if (old.outerHTML === next.outerHTML) return;
		const at = document.activeElement;
		const inside = old.contains(at) && at !== old;
		if (inside && at.matches("input, select, textarea")) return;
		const open = new Map([...old.querySelectorAll("details[id]")].map((d) => [d.id, d.open]));
		const links = inside ? [...old.querySelectorAll("a, button, summary")] : [];
		const place = links.indexOf(at), href = inside && at.getAttribute("href");
		const scrolled = old.scrollTop;
		for (const a of next.attributes) old.setAttribute(a.name, a.value);
		old.replaceChildren(...next.childNodes);
		for (const [id, isOpen] of open) {
			const d = document.getElementById(id);
			if (d) d.open = isOpen;
		}
		old.scrollTop = scrolled;
		if (inside) {
			const now = [...old.querySelectorAll("a, button, summary")];
			const same = href && now.find((a) => a.getAttribute("href") === href);
			(same || now[place] || document.getElementById("main")).focus({ preventScroll: true });
		}
	};

	let stream, loading = false, again = false, last = 0;
	const load = async () => {
		if (loading) { again = true; return; }
		loading = true;
		const early = 700 - (performance.now() - last);
		if (early > 0) await new Promise((done) => setTimeout(done, early));
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
			if (answer.status === 401) { location.reload(); return; }
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			const regions = page.querySelectorAll("[data-region][id]");
			const shown = document.querySelectorAll("[data-region][id]");
			const ids = (list) => [...list].map((e) => e.id).join();
			if (ids(regions) !== ids(shown)) {
				// Another kind of page: an error, or one that has come back from it.
				swap(document.getElementById("main"), page.getElementById("main"));
			} else {
				for (const next of regions) swap(document.getElementById(next.id), next);
			}
			const nav = page.querySelector("nav.main"), mine = document.querySelector("nav.main");
			if (nav && mine) swap(mine, nav);
			document.title = page.title;
			if (page.body.dataset.live) {
				say("live", "live");
			} else { // it won't change any more
				delete document.body.dataset.live;
				stream?.close();
				say("", "as it ended");
			}
			document.dispatchEvent(new Event("swapped"));
		} catch {
			say("lost", "no connection");
		}
		last = performance.now();
		loading = false;
		if (again) { again = false; load(); }
	};

	const connect = () => {
		const address = document.body.dataset.live;
		if (!address || stream || document.hidden) return;
		stream = new EventSource(address);
		let opened = false;
		stream.addEventListener("open", () => {
			if (opened) load();
			opened = true;
			say("live", "live");
		});
		stream.addEventListener("changed", load);
		stream.addEventListener("error", () => {
			say("lost", "no connection");
			if (stream && stream.readyState === EventSource.CLOSED) { stream = null; setTimeout(connect, 5000); }
		});
	};
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) {
			if (stream) stream.close();
			stream = null;
		} else if (document.body.dataset.live) {
			connect();
			load();
		}
	});
	connect();

	// Forms with data-auto are sent when a choice changes, and need no button then.
	for (const button of document.querySelectorAll("form[data-auto] button")) button.hidden = true;
	document.addEventListener("change", (e) => {
		const form = e.target.form;
		if (form && form.matches("form[data-auto]") && e.target.matches("select")) form.requestSubmit();
	});
})();
