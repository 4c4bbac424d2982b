package web

// accessFaults lists what keeps people from using a page: in JavaScript, for a browser to evaluate. It looks for text
// with too little contrast (WCAG AA), fields and buttons without names, and a page without order.
const accessFaults = `(() => {
	const faults = [];
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	};
	const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
	const behind = (e) => {
		const layers = [];
		for (; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor));
		return layers.reduce((under, layer) => over(layer, under), [255, 255, 255]);
	};
	const light = (c) => {
		const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const seen = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const e = n.parentElement;
		if (!n.data.trim() || seen.has(e) || e.closest("script, style, .hide, .skip, noscript")) continue;
		if (!e.checkVisibility() || e.getBoundingClientRect().width < 2) continue;
		seen.add(e);
		const style = getComputedStyle(e), back = behind(e);
		const colour = e.closest("svg") ? style.fill : style.color;
		const a = light(over(rgba(colour), back)), b = light(back);
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) {
			faults.push("contrast " + ratio.toFixed(2) + " of " + JSON.stringify(n.data.trim().slice(0, 40)) + " in " +
				e.tagName + "." + e.className);
		}
	}
	const named = (e) => e.getAttribute("aria-label") || e.title || e.textContent.trim() ||
		e.labels && e.labels.length || e.value && e.type === "submit";
	for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
		if (!named(e)) faults.push("without a name: " + e.outerHTML.slice(0, 120));
	}
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push("twice: id " + id);
	for (const what of ["h1", "main", "header.top", "head > title"]) {
		const n = document.querySelectorAll(what).length;
		if (n !== 1) faults.push(n + " of " + what);
	}
	for (const e of document.querySelectorAll("svg:not([aria-hidden]):not(svg svg)")) {
		if (e.getAttribute("role") !== "img" || !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") ||
			e.querySelector("title"))) faults.push("a picture without words: " + e.outerHTML.slice(0, 120));
	}
	if (!document.documentElement.lang) faults.push("no language");
	return [...new Set(faults)];
})()`
