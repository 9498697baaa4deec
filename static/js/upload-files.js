// Which files a drop holds, folders included, and which of them are only the system's own.
(function () {
  "use strict";

  const SYSTEM_FILES = new Set(["thumbs.db", "desktop.ini", "dicomdir"]);

  function isSystemFile(name) {
    return name.startsWith(".") || SYSTEM_FILES.has(name.toLowerCase());
  }

  // A dropped folder is read level by level; readEntries answers at most 100 names a call.
  async function filesOfEntry(entry) {
    if (entry.isFile) {
      return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (part.length === 0) {
        return found;
      }
      for (const child of part) {
        found.push(...(await filesOfEntry(child)));
      }
    }
  }

  async function filesOfTransfer(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
    if (!entries.some((entry) => entry && entry.isDirectory)) {
      return [...transfer.files];
    }
    const found = [];
    for (const entry of entries.filter(Boolean)) {
      found.push(...(await filesOfEntry(entry)));
    }
    return found;
  }

  window.SenolensFiles = { isSystemFile, ofTransfer: filesOfTransfer };
})();
