"use strict";

// Sorting: a button in each header; missing values stay last in both directions.
(() => {
  const announce = (text) => { document.getElementById("announcement").textContent = text; };

  const compare = (first, second, direction, numeric) => {
    if (first === undefined || second === undefined) {
      return (first === undefined) - (second === undefined);
    }
    return direction * (numeric ? first - second : first.localeCompare(second, "en", { numeric: true }));
  };

  const sort = (table, column, header) => {
    const numeric = header.classList.contains("number");
    const now = header.getAttribute("aria-sort");
    const descending = now ? now === "ascending" : numeric;
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.sort((first, second) => compare(
      first.cells[column].dataset.sort, second.cells[column].dataset.sort, descending ? -1 : 1, numeric));
    body.append(...rows);
    const name = header.querySelector("button > span").textContent;
    announce(`Sorted by ${name}, ${descending ? "descending" : "ascending"}`);
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      header.querySelector("button").addEventListener("click", () => sort(table, column, header));
    });
  }
})();

// Figures: colours come from the style sheet, so that they follow the reader's theme.
(() => {
  if (typeof Plotly === "undefined") return;
  const SYMBOLS = { circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", x: "✖", star: "★" };
  const NARROW = 640;
  const PRINT_WIDTH = 980;
  const config = { displayModeBar: false, responsive: true };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const paint = (trace) => {
    const color = css(`--series-${trace.meta.series}`);
    const painted = { ...trace, marker: { ...trace.marker, color } };
    if (trace.line) painted.line = { ...trace.line, color };
    if (trace.error_x) painted.error_x = { ...trace.error_x, color, thickness: 2, width: 5 };
    return painted;
  };

  const axis = (given) => ({
    ...given, gridcolor: css("--rule"), linecolor: css("--strong-rule"), showline: true, fixedrange: false,
  });

  const layoutOf = (element, layout) => {
    const narrow = element.clientWidth < NARROW;
    const rows = layout.yaxis.type === "category";
    const count = rows ? new Set(element.traces.flatMap((trace) => trace.y)).size : 0;
    return {
      ...layout,
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
      height: rows ? 90 + 27 * count : narrow ? 340 : 460,
      margin: { l: rows ? 10 : 56, r: 12, t: 16, b: 48 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: css("--ink") },
      hoverlabel: { bgcolor: css("--page"), bordercolor: css("--strong-rule"), font: { color: css("--ink") } },
      showlegend: rows && element.traces.length > 1,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      // A finger that drags over a figure wants to scroll the page.
      dragmode: narrow ? false : "zoom",
    };
  };

  const isShown = (element, trace) =>
    !element.off.has(trace.meta.trial) && (element.training || trace.meta.stage !== "training");

  const draw = (element) => {
    const data = element.traces.map((trace) => ({ ...paint(trace), visible: isShown(element, trace) }));
    const layout = layoutOf(element, element.given);
    if (document.documentElement.dataset.print) layout.width = PRINT_WIDTH;
    Plotly.react(element, data, layout, config);
    element.closest("figure").querySelectorAll(".swatch").forEach((swatch) => {
      swatch.style.color = css(`--series-${swatch.dataset.series}`);
    });
  };

  const legend = (element, figure) => {
    const box = figure.querySelector(".legend");
    if (!box) return;
    for (const trace of element.traces.filter((one) => one.meta.stage === "validation")) {
      const button = document.createElement("button");
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.dataset.series = trace.meta.series;
      swatch.setAttribute("aria-hidden", "true");
      swatch.textContent = SYMBOLS[trace.marker.symbol] ?? "●";
      button.type = "button";
      button.dataset.trial = trace.meta.trial;
      button.setAttribute("aria-pressed", "true");
      button.append(swatch, trace.meta.label);
      box.append(button);
    }
    const refresh = () => {
      for (const button of box.children) {
        button.setAttribute("aria-pressed", String(!element.off.has(button.dataset.trial)));
      }
      all.textContent = element.off.size ? "Show all" : "Hide all";
      draw(element);
    };
    box.addEventListener("click", (event) => {
      const trial = event.target.closest("button")?.dataset.trial;
      if (trial === undefined) return;
      if (!element.off.delete(trial)) element.off.add(trial);
      refresh();
    });
    const all = figure.querySelector("[data-all]");
    all.addEventListener("click", () => {
      const names = element.off.size ? [] : element.traces.map((trace) => trace.meta.trial);
      element.off = new Set(names);
      refresh();
    });
    const training = figure.querySelector("[data-training]");
    training.addEventListener("click", () => {
      element.training = !element.training;
      training.setAttribute("aria-pressed", String(element.training));
      draw(element);
    });
  };

  const elements = [...document.querySelectorAll("figure .plot")];
  for (const element of elements) {
    const figure = element.closest("figure");
    const content = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    Object.assign(element, { traces: content.data, given: content.layout, off: new Set(), training: true });
    legend(element, figure);
    draw(element);
  }

  const redraw = () => elements.forEach(draw);
  const onPrint = (printing) => {
    if (printing) document.documentElement.dataset.print = "1";
    else delete document.documentElement.dataset.print;
    redraw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", redraw);
  addEventListener("beforeprint", () => onPrint(true));
  addEventListener("afterprint", () => onPrint(false));
})();
