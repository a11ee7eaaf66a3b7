// Keeps the parts of a page current that say so; the pages work without it.
//
// <div data-live="/…/live" data-live-every="3"> is replaced by what its address answers, every so
// many seconds while the page is looked at. When the answer has the header X-Live: ended, the page
// is loaded anew once, and has what there is to do next.
"use strict";

(() => {
  const SLOWEST_S = 60;

  const follow = (part) => {
    const address = part.dataset.live;
    const every = Math.max(1, Number(part.dataset.liveEvery) || 3);
    const said = document.getElementById(part.dataset.liveStatus || "");
    let waits = every;
    let failures = 0;

    const later = () => setTimeout(look, waits * 1000);

    const say = (text) => {
      if (said && said.textContent !== text) said.textContent = text;
    };

    const show = async (answer) => {
      const text = await answer.text();
      if (text !== part.dataset.seen) {
        part.innerHTML = text;
        part.dataset.seen = text;
      }
      const status = part.querySelector("[data-live-say]");
      if (status) say(status.textContent.trim());
    };

    const look = async () => {
      if (document.hidden) return later();
      try {
        const answer = await fetch(address, {
          headers: { Accept: "text/html" },
          credentials: "same-origin",
          redirect: "manual",
          cache: "no-store",
        });
        if (answer.type === "opaqueredirect") return location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        await show(answer);
        if (answer.headers.get("X-Live") === "ended") return location.reload();
        failures = 0;
        waits = every;
      } catch {
        failures += 1;
        waits = Math.min(SLOWEST_S, every * 2 ** failures);
        say(`No answer. The next try is in ${waits} seconds.`);
      }
      return later();
    };

    later();
  };

  // <form data-continue="id of a status"> is sent again and again while the page is open: without
  // a queue a run moves only while a request works on it.
  const reasonOf = async (answer) => {
    const type = answer.headers.get("Content-Type") || "";
    return type.startsWith("text/plain") ? answer.text() : "Load this page again.";
  };

  const workOn = (form) => {
    const said = document.getElementById(form.dataset.continue);
    let failures = 0;

    const send = async () => {
      try {
        const answer = await fetch(form.action, {
          method: "POST",
          body: new URLSearchParams(new FormData(form)),
          headers: { "X-Live": "continue" },
          credentials: "same-origin",
          redirect: "manual",
        });
        if (answer.status !== 204) throw new Error(await reasonOf(answer));
        failures = 0;
        if (said) said.textContent = "";
      } catch (error) {
        failures += 1;
        if (said) said.textContent = `The work was interrupted: ${error.message}`;
      }
      setTimeout(send, 1000 * Math.min(SLOWEST_S, 2 ** failures));
    };

    setTimeout(send, 500);
  };

  document.querySelectorAll("[data-live]").forEach(follow);
  document.querySelectorAll("form[data-continue]").forEach(workOn);
})();
