// Says how long an emergency access still holds, and leaves the page when it is over: the record is closed then.
(function () {
  "use strict";

  const banner = document.querySelector("[data-emergency-until]");
  if (!banner) {
    return;
  }
  const until = Date.parse(banner.dataset.emergencyUntil);
  const words = banner.querySelector("[data-emergency-left]");

  function tell() {
    const left = until - Date.now();
    if (left <= 0) {
      window.location.replace(banner.dataset.leaveTo);
      return;
    }
    words.textContent = `${Math.ceil(left / 60000)} min left`;
    window.setTimeout(tell, Math.min(left, 15000));
  }

  tell();
})();
