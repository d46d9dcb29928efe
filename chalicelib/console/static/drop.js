// What was dropped: files, and those in folders.

/** The files of a drop, those in folders too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  await Promise.all(entries.map((entry) => collect(entry, found)));
  return found;
}

async function collect(entry, found) {
  if (entry instanceof File) found.push({ file: entry, path: entry.name });
  else if (entry?.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
  } else if (entry?.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      // A folder is read in pieces, of a hundred in Chromium, until one is empty.
      const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!piece.length) return;
      for (const one of piece) await collect(one, found);
    }
  }
}
