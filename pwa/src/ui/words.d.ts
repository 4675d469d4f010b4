/** Words of one part of the app; see `vite/app-words.ts`. */
declare module '*.json?surfaces' {
  const words: Readonly<Record<string, string>>;
  export default words;
}
