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
  const FEW = 6; // so many points are all named, as in choice_figures.py
  const PRINT_WIDTH = 980;
  const config = { displayModeBar: false, responsive: true };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const paint = (trace) => {
    const color = css(`--series-${trace.meta.series}`);
    const painted = { ...trace, marker: { ...trace.marker, color } };
    if (trace.type === "heatmap") {
      painted.colorscale = [[0, css("--page")], [1, color]];
      painted.textfont = { color: css("--ink") };
    }
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
      height: rows ? 90 + 27 * count : narrow ? 340 : element.closest("figure.small") ? 380 : 460,
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

  // Of the points that are left: those that none as cheap or cheaper reaches, the cheapest first.
  const frontOf = (element) => {
    const points = element.traces
      .filter((trace) => trace.meta.stage !== "front" && !element.off.has(trace.meta.trial))
      .map((trace) => ({ name: trace.meta.trial, x: trace.x[0], y: trace.y[0] }))
      .sort((one, other) => one.x - other.x || other.y - one.y);
    return points.filter((point, index) =>
      points.slice(0, index).every((cheaper) => cheaper.y < point.y || (cheaper.y === point.y && cheaper.x === point.x)));
  };

  const withFront = (element, trace, front) => {
    if (trace.meta.stage === "front") {
      return { ...trace, x: front.map((point) => point.x), y: front.map((point) => point.y) };
    }
    const named = element.traces.length <= FEW + 1 || front.some((point) => point.name === trace.meta.trial);
    return { ...trace, text: [named ? trace.name : ""] };
  };

  const draw = (element) => {
    const chooses = element.closest("figure").dataset.chooser !== undefined;
    const front = chooses ? frontOf(element) : [];
    const given = chooses ? element.traces.map((trace) => withFront(element, trace, front)) : element.traces;
    const data = given.map((trace) => ({ ...paint(trace), visible: isShown(element, trace) }));
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

  const trialChoice = (element, figure) => {
    const select = figure.querySelector("[data-choose]");
    if (!select) return;
    const names = element.traces.map((trace) => trace.meta.trial).filter((name) => name !== null);
    const choose = () => { element.off = new Set(names.filter((name) => name !== select.value)); };
    select.addEventListener("change", () => { choose(); draw(element); });
    choose();
  };

  const elements = [...document.querySelectorAll("figure .plot")];
  for (const element of elements) {
    const figure = element.closest("figure");
    const content = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    Object.assign(element, { traces: content.data, given: content.layout, off: new Set(), training: true });
    legend(element, figure);
    element.addEventListener("choose", (event) => {
      element.off = event.detail;
      draw(element);
    });
    trialChoice(element, figure);
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

// The chooser: rows beyond a limit go, the figures that follow it draw their fronts anew.
(() => {
  const number = (text) => (text === undefined || text === "" ? NaN : Number(text));

  for (const form of document.querySelectorAll("form.chooser")) {
    const table = document.getElementById(form.dataset.table);
    const columns = Object.fromEntries(
      [...table.tHead.rows[0].cells].map((header, index) => [header.dataset.key, index]));
    const rows = [...table.tBodies[0].rows];
    const plots = [...document.querySelectorAll(`figure[data-chooser="${form.id}"] .plot`)];
    const output = form.querySelector("output");

    const fits = (row, limits) => limits.every(([key, limit]) =>
      number(row.cells[columns[key]].dataset.sort) <= limit); // an unknown cost fits no limit

    const choose = () => {
      const inputs = [...form.querySelectorAll("input")];
      const given = inputs.filter((input) => input.value !== "" || input.validity.badInput);
      const limits = given.map((input) => [input.name, Number(input.value)]).filter(([, limit]) => limit > 0);
      const left = rows.filter((row) => {
        row.hidden = !fits(row, limits);
        return !row.hidden;
      });
      const accuracy = (row) => number(row.cells[columns.accuracy].dataset.sort);
      const best = left.reduce((one, row) => (one && accuracy(one) >= accuracy(row) ? one : row), null);
      const off = new Set(rows.filter((row) => row.hidden).map((row) => row.cells[0].dataset.sort));
      for (const plot of plots) plot.dispatchEvent(new CustomEvent("choose", { detail: off }));
      output.textContent = given.length > limits.length ? "A limit is a number above 0." : !limits.length ? "" : best
        ? `${left.length} of ${rows.length} fit; the most accurate of them: ${best.cells[0].dataset.sort}, ${best.cells[columns.accuracy].firstChild.textContent.trim()} %.`
        : `None of ${rows.length} fits.`;
    };

    form.addEventListener("input", choose);
    form.addEventListener("reset", () => setTimeout(choose)); // the fields are empty after it
    form.addEventListener("submit", (event) => event.preventDefault());
  }
})();
