// What an application's own page would do with Uppy: make it, add the chosen files, watch what it says.
const MEBIBYTE = 1024 * 1024;

export function offerUppy({ Uppy, AwsS3, GoldenRetriever, endpointOption }) {
  window.openUppy = ({ endpoint, keepAcrossReloads = false, options = {} }) => {
    const uppy = new Uppy({ id: "page", allowMultipleUploadBatches: true });
    uppy.use(AwsS3, { [endpointOption]: endpoint, ...options });
    window.uppy = uppy;
    window.said = [];
    for (const name of ["upload-success", "upload-error", "s3-multipart:part-uploaded", "complete", "restored"])
      uppy.on(name, (...values) => window.said.push([name, ...values.map(tellable)]));
    if (keepAcrossReloads)
      uppy.use(GoldenRetriever, { indexedDB: { maxFileSize: 4096 * MEBIBYTE, maxTotalSize: 4096 * MEBIBYTE } });
    document.querySelector("#files").onchange = ({ target }) => {
      for (const data of target.files) uppy.addFile({ name: data.name, type: data.type, data });
    };
  };
  window.ready = true;
}

// What outlives a reload: `kept("uploadId")` is true once some store has it, and a copy of each chosen file.
window.kept = async (word) => {
  const entries = Object.values(localStorage);
  for (const { name, version } of await indexedDB.databases()) {
    const database = await answerTo(indexedDB.open(name, version));
    for (const store of database.objectStoreNames)
      entries.push(...(await answerTo(database.transaction(store).objectStore(store).getAll())));
    database.close();
  }
  const files = entries.filter(({ data }) => data instanceof Blob);
  return files.length === uppy.getFiles().length && entries.some((entry) => JSON.stringify(entry).includes(word));
};

function answerTo(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// What can leave the page: no files, no functions.
function tellable(value) {
  if (value instanceof Error) return { error: value.message };
  if (value?.id && value?.data !== undefined) return { id: value.id, name: value.name };
  return JSON.parse(JSON.stringify(value ?? null));
}
