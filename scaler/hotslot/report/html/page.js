"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const paint = (name) => () => css(name);

  // Words -----------------------------------------------------------------------------------------
  const pad = (n) => String(n).padStart(2, "0");
  function after(seconds) {
    const s = Math.round(seconds);
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " m " + pad(s % 60) + " s";
    if (s < 86400) return Math.floor(s / 3600) + " h " + pad(Math.floor((s % 3600) / 60)) + " m";
    return Math.floor(s / 86400) + " d " + pad(Math.floor((s % 86400) / 3600)) + " h";
  }
  const shortly = (seconds) => after(seconds).replace(/ 00 [smh]$/, "");
  // The server's clock, wherever the reader is.
  const local = (ts) => {
    const date = new Date(ts * 1000);
    return new Date(date.getTime() + (data.offset_s / 60 + date.getTimezoneOffset()) * 60000);
  };
  const stamp = (ts) => {
    const d = local(ts);
    return d.getFullYear() + "-" + pad(d.getMonth() + 1) + "-" + pad(d.getDate()) + " " + pad(d.getHours()) + ":" + pad(d.getMinutes());
  };
  const cores = (value) => (value == null ? "–" : value.toFixed(2));

  // Charts ----------------------------------------------------------------------------------------
  const stepped = uPlot.paths.stepped({ align: -1 });
  const line = (label, colour, more) =>
    Object.assign({ label, stroke: paint(colour), width: 2, points: { show: false }, value: (u, v) => cores(v) }, more);
  const axis = (more) => Object.assign({
    stroke: paint("--muted"), grid: { stroke: paint("--line"), width: 1 }, ticks: { stroke: paint("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
  }, more);
  const whole = (u, splits) => splits.map((v) => (Number.isInteger(v) ? String(v) : ""));

  // Increment, format, and what goes below it where year, month or day begins.
  const CLOCK = [
    [86400 * 365, "{YYYY}", null, null, null, null, null, null, 1],
    [86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  ];

  function options(of, box, tall) {
    const relative = of.start !== undefined;
    return {
      width: width(box), height: tall ? 290 : 216,
      padding: [of.events && of.events.length ? 28 : 10, 26, 0, 0],
      tzDate: local,
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: true },
      scales: { x: { time: !relative }, y: { range: (u, low, high) => [0, Math.max(1, high) * 1.06] } },
      axes: [
        axis(relative ? { values: (u, splits) => splits.map(shortly), space: 70, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800] } : { values: CLOCK, space: 64 }),
        axis({ label: "cores", labelSize: 18, size: 44, values: whole, labelFont: "12px system-ui, sans-serif" }),
      ],
      series: [
        { label: relative ? "after" : "at", value: (u, v) => (v == null ? "–" : relative ? after(v) : stamp(v)) },
        line("used", "--used", { fill: paint("--used-fill"), width: 1.5, paths: stepped }),
        line("held", "--held", { width: 2.5, paths: stepped }),
        line("asked for", "--asked", { dash: [7, 4], paths: stepped }),
      ].concat(relative ? [] : [line("host", "--muted", { dash: [2, 3], width: 1.5, paths: stepped })]),
      hooks: { draw: [(u) => marks(u, of, box)] },
    };
  }
  const width = (box) => Math.max(240, Math.floor(box.clientWidth));

  function draw(box) {
    if (box.dataset.drawn) return;
    const of = data.charts[box.dataset.chart];
    if (!of) return;
    box.dataset.drawn = "1";
    box.tip = document.createElement("div");
    box.tip.className = "tip";
    box.tip.hidden = true;
    box.tip.setAttribute("aria-hidden", "true"); // each mark has the same words as its label
    const u = new uPlot(options(of, box, box.classList.contains("tall")), of.data, box);
    box.append(box.tip);
    box.addEventListener("keydown", (event) => step(event, u, box));
    box.addEventListener("mouseleave", () => { box.tip.hidden = true; });
    charts.push([u, box]);
  }

  // Arrow keys move the cursor of the chart that has the focus, or go from mark to mark.
  function step(event, u, box) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") box.tip.hidden = true;
    if (!by) return;
    event.preventDefault();
    const all = [...box.querySelectorAll(".mark")];
    const at = all.indexOf(document.activeElement);
    if (at >= 0) {
      all[Math.min(all.length - 1, Math.max(0, at + by))].focus();
      return;
    }
    const xs = u.data[0];
    const stride = Math.max(1, Math.round(xs.length / 100));
    const was = u.cursor.idx == null ? (by > 0 ? -stride : xs.length) : u.cursor.idx;
    const next = Math.min(xs.length - 1, Math.max(0, was + by * stride));
    u.setCursor({ left: u.valToPos(xs[next], "x"), top: 0 });
  }

  // Marks of events above the plot; what is too close together is one mark. -----------------------------
  function marks(u, of, box) {
    const focused = box.contains(document.activeElement) && document.activeElement.dataset.first;
    u.over.querySelectorAll(".mark").forEach((mark) => mark.remove());
    const near = [];
    for (const one of of.events || []) {
      const left = u.valToPos(one.t, "x");
      const last = near[near.length - 1];
      if (last && left - last.left < 22) last.all.push(one);
      else near.push({ left, all: [one] });
    }
    near.forEach((group, place) => u.over.append(mark(group, place, box)));
    if (focused !== undefined && focused !== false) {
      const again = u.over.querySelector('.mark[data-first="' + focused + '"]');
      if (again) again.focus();
    }
  }

  function mark({ left, all }, place, box) {
    const button = document.createElement("button");
    const one = all[0];
    const kind = all.length > 1 ? "several" : !one.good ? "bad" : one.to > one.from ? "up" : "down";
    button.type = "button";
    button.className = "mark " + kind + (all.some((e) => !e.good) ? " bad" : "");
    button.tabIndex = place ? -1 : 0; // one stop for Tab, arrow keys go on
    button.dataset.first = String(one.t);
    const several = all.length + (all.some((e) => !e.good) ? " ✕" : "");
    button.textContent = { several, bad: "✕", up: "▲", down: "▼" }[kind];
    button.style.left = left + "px";
    button.style.top = "-27px";
    const words = all.slice(0, 8).map(told);
    if (all.length > 8) words.push("and " + (all.length - 8) + " more, in the table below");
    button.setAttribute("aria-label", words.join(". "));
    const show = () => {
      box.tip.replaceChildren(...words.map((text) => {
        const p = document.createElement("p");
        p.textContent = text;
        return p;
      }));
      box.tip.hidden = false;
      const from = button.getBoundingClientRect(), frame = box.getBoundingClientRect();
      const room = frame.width - box.tip.offsetWidth;
      box.tip.style.left = Math.max(0, Math.min(room, from.left - frame.left - box.tip.offsetWidth / 2 + 12)) + "px";
      box.tip.style.top = from.bottom - frame.top + 6 + "px";
    };
    const hide = () => { box.tip.hidden = true; };
    button.addEventListener("mouseenter", show);
    button.addEventListener("focus", show);
    button.addEventListener("click", show);
    button.addEventListener("mouseleave", hide);
    button.addEventListener("blur", hide);
    return button;
  }
  const told = (e) => "After " + after(e.t) + ": " + e.from + " → " + e.to + " vCPUs, " + e.result + (e.got !== e.to ? ", got " + e.got : "") + ": " + e.why;

  // Sorting tables -----------------------------------------------------------------------------------
  function sortable(table) {
    const body = table.tBodies[0];
    const first = [...body.rows];
    table.querySelectorAll("thead th button").forEach((button) => {
      const head = button.closest("th");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[head.cellIndex].dataset.v;
        const number = head.classList.contains("n");
        const compare = (a, b) => (number ? Number(value(a) || -1) - Number(value(b) || -1) : value(b).localeCompare(value(a)));
        body.append(...first.slice().sort((a, b) => (down ? compare(b, a) : compare(a, b))));
      });
    });
  }

  // Drawn when they come into sight; all of them for print. ----------------------------------------------
  const boxes = [...document.querySelectorAll(".chart")];
  const fit = () => charts.forEach(([u, box]) => {
    if (u.width !== width(box)) u.setSize({ width: width(box), height: u.height });
  });
  const repaint = () => charts.forEach(([u]) => u.redraw(false, true));
  const everything = () => { boxes.forEach(draw); fit(); repaint(); };
  if ("IntersectionObserver" in window) {
    const seen = new IntersectionObserver((found) => found.forEach((one) => {
      if (one.isIntersecting) { seen.unobserve(one.target); draw(one.target); }
    }), { rootMargin: "500px" });
    boxes.forEach((box) => seen.observe(box));
  } else boxes.forEach(draw);
  document.querySelectorAll("table.sortable").forEach(sortable);
  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(fit); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  matchMedia("print").addEventListener("change", everything);
  window.addEventListener("beforeprint", everything);
  window.addEventListener("afterprint", () => { fit(); repaint(); });
})();
