// What htmx leaves to the page: what was seen last, and what is in the way, in the bar at the bottom.
"use strict";
(() => {
  const isLook = (elt) => elt.matches("[data-live], [data-trouble]");
  const troubles = new Map(); // what asks -> what is in the way of its answer: one good answer does not mend another's
  const tell = (source, text) => {
    for (const one of troubles.keys()) if (!one.isConnected || !isLook(one)) troubles.delete(one);
    if (text) troubles.set(source, text);
    else troubles.delete(source);
    const at = document.getElementById("bar");
    const [told = ""] = troubles.values();
    if (told === at.textContent && at.hidden === !told) return;
    at.textContent = told;
    at.hidden = !told;
    document.body.classList.toggle("stale", Boolean(told));
  };

  const refuse = (field, text) => {
    const at = document.getElementById(`${field.id}-told`);
    at.textContent = text;
    at.classList.add("error");
    field.setAttribute("aria-invalid", "true");
    field.focus();
  };
  // Too much in a form: its largest field says so, and what was typed stays.
  const refuseLargest = (form, text) => {
    const size = (field) => field.files?.[0]?.size ?? field.value.length;
    const fields = [...form.elements].filter((one) => one.id && document.getElementById(`${one.id}-told`));
    refuse(fields.reduce((most, one) => (size(one) > size(most) ? one : most)), text);
  };

  document.addEventListener("htmx:before:request", (event) => {
    if (isLook(event.detail.ctx.sourceElement) && document.hidden) event.preventDefault();
  });
  // However often a form is sent, until its answer is there it is one request; nor does a double click's second half
  // send the form that came with the answer. Not `disabled`: that would take the focus off the button.
  const underWay = new WeakSet();
  const mark = (form, busy) => {
    for (const one of form.querySelectorAll("button")) {
      if (busy) one.setAttribute("aria-disabled", "true");
      else one.removeAttribute("aria-disabled");
    }
  };
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("form[hx-post] button")) event.preventDefault();
  });
  document.addEventListener("htmx:finally:request", (event) => {
    const { sourceElement } = event.detail.ctx;
    if (underWay.delete(sourceElement)) mark(sourceElement, false);
  });
  document.addEventListener("htmx:config:request", (event) => {
    const { sourceElement, request } = event.detail.ctx;
    if (sourceElement.matches("form")) {
      const large = [...sourceElement.querySelectorAll("[data-most]")].find((one) => one.files[0]?.size > one.dataset.most);
      if (large) refuse(large, large.dataset.refusal);
      if (large || underWay.has(sourceElement)) return event.preventDefault();
      underWay.add(sourceElement);
      mark(sourceElement, true);
    }
    const seen = sourceElement.dataset.seen;
    if (seen) request.action += (request.action.includes("?") ? "&" : "?") + "seen=" + seen;
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceElement, response, text } = event.detail.ctx;
    const seen = response.headers.get("X-Seen");
    if (seen) sourceElement.dataset.seen = seen;
    if (response.status === 503) return tell(sourceElement, text);
    if (response.status === 401) return tell(sourceElement, "This session is over: open the URL that lab console or make up has printed last.");
    if (response.status >= 500) return tell(sourceElement, "The console has failed; its terminal says why.");
    tell(sourceElement, "");
    if (response.status === 413) return refuseLargest(sourceElement, text);
    if (sourceElement.matches("[data-trouble]")) location.reload();
  });
  // A form that comes back with something wrong in it: the hands go on there, and a screen reader reads why.
  document.addEventListener("htmx:after:settle", (event) => event.target.querySelector?.("[aria-invalid]")?.focus());
  document.addEventListener("htmx:error", (event) => {
    tell(event.detail.ctx?.sourceElement ?? event.target, "The console does not answer. Start it again: lab console");
  });
})();
