// What htmx leaves to the page: what was seen last, and what is in the way, in the bar at the bottom.
"use strict";
(() => {
  const bar = () => document.getElementById("bar");
  const tell = (text) => {
    const at = bar();
    if (text === at.textContent && at.hidden === !text) return;
    at.textContent = text;
    at.hidden = !text;
    document.body.classList.toggle("stale", Boolean(text));
  };
  const isLook = (elt) => elt.matches("[data-live], [data-trouble]");

  document.addEventListener("htmx:before:request", (event) => {
    if (isLook(event.detail.ctx.sourceElement) && document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:config:request", (event) => {
    const { sourceElement, request } = event.detail.ctx;
    const seen = sourceElement.dataset.seen;
    if (seen) request.action += (request.action.includes("?") ? "&" : "?") + "seen=" + seen;
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceElement, response, text } = event.detail.ctx;
    const seen = response.headers.get("X-Seen");
    if (seen) sourceElement.dataset.seen = seen;
    if (response.status === 503) return tell(text);
    if (response.status === 401) return tell("This session is over: open the URL that lab console or make up has printed last.");
    if (response.status >= 500) return tell("The console has failed; its terminal says why.");
    tell("");
    if (sourceElement.matches("[data-trouble]")) location.reload();
  });
  document.addEventListener("htmx:error", () => {
    tell("The console does not answer. Start it again: lab console");
  });
})();
