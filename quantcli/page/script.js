// Draws the figures of the page in the colours of its scheme, and again when that changes.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PAPER = 680; // a sheet of A4 or letter paper without its margins
  const LIGHT_TILES = /#e7eaee|#24292f/g; // INNER and INNER_TEXT of charts.py
  const DARK_TILES = { "#e7eaee": "#2a323a", "#24292f": "#e6e9ec" };
  const plots = [...document.querySelectorAll(".plot")];

  function theme(isDark) {
    const text = isDark ? "#e6e9ec" : "#1b1f24";
    const axis = { gridcolor: isDark ? "#39424c" : "#d0d7de", zerolinecolor: isDark ? "#6b7580" : "#8c959f", automargin: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      // Okabe and Ito's colours: told apart without colour vision, and by lightness
      colorway: isDark ? ["#56b4e9", "#e69f00", "#009e73", "#cc79a7"] : ["#0072b2", "#d55e00", "#007a59", "#a3487a"],
      font: { color: text, family: getComputedStyle(document.body).fontFamily, size: 13 },
      xaxis: axis,
      yaxis: axis,
      shapedefaults: { line: { color: text } },
    };
  }

  // width: undefined to fit the page, or CSS pixels
  function draw(plot, isDark, width) {
    const text = document.getElementById(plot.dataset.figure).textContent;
    const { data, layout } = JSON.parse(isDark ? text.replace(LIGHT_TILES, (c) => DARK_TILES[c]) : text);
    const narrow = plot.clientWidth < 480;
    const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" };
    const all = { margin: { l: 8, r: 8, t: 28, b: 40 }, legend, ...layout, width, template: { layout: theme(isDark) } };
    if (narrow && !width) all.font = { size: 11 };
    const config = { responsive: true, displayModeBar: false, doubleClick: "reset" };
    return Plotly.react(plot, data, all, config).then(() => width || Plotly.Plots.resize(plot));
  }

  function drawAll(isDark, width) {
    return Promise.all(plots.map((plot) => draw(plot, isDark, width)));
  }

  dark.addEventListener("change", () => drawAll(dark.matches));
  addEventListener("beforeprint", () => drawAll(false, PAPER));
  addEventListener("afterprint", () => drawAll(dark.matches));
  drawAll(dark.matches).then(() => { document.documentElement.dataset.drawn = "yes"; });
})();
