/** Hands a file to the person in whatever way this browser knows. */

interface Picker {
  showSaveFilePicker?: (options: {
    suggestedName: string;
  }) => Promise<{ createWritable(): Promise<WritableStream & { write(data: Blob): Promise<void> }> }>;
}

const CANCELLED = 'AbortError';
const URL_MS = 60_000;

/** True when the file was handed over; false when the person thought better of it. */
export async function handOver(blob: Blob, name: string, title: string): Promise<boolean> {
  try {
    return (await bySavePicker(blob, name)) || (await byShare(blob, name, title)) || byDownload(blob, name);
  } catch (error) {
    if (error instanceof DOMException && error.name === CANCELLED) return false;
    return byDownload(blob, name);
  }
}

async function bySavePicker(blob: Blob, name: string): Promise<boolean> {
  const picker = window as Window & Picker;
  if (!picker.showSaveFilePicker) return false;
  const handle = await picker.showSaveFilePicker({ suggestedName: name });
  const file = await handle.createWritable();
  await file.write(blob);
  await file.close();
  return true;
}

async function byShare(blob: Blob, name: string, title: string): Promise<boolean> {
  const files = [new File([blob], name, { type: blob.type })];
  if (!navigator.canShare?.({ files })) return false;
  await navigator.share({ files, title });
  return true;
}

function byDownload(blob: Blob, name: string): true {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), URL_MS);
  return true;
}
