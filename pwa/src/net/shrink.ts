/** Makes a picture small through a canvas, which also drops where and with what it was taken. */

const JPEG = 'image/jpeg';

/** The picture as JPEG, its longer edge at most `edgeMax` pixels. Throws when the bytes are no picture. */
export async function shrinkInBrowser(picture: Blob, edgeMax: number, quality: number): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  try {
    const scale = Math.min(1, edgeMax / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const pen = canvas.getContext('2d');
    if (!pen) throw new Error('no canvas');
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), JPEG, quality);
    });
  } finally {
    bitmap.close();
  }
}
