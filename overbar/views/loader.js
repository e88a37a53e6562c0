// The program and its style sheet, deflated; their source is in overbar/views.
(async () => {
const packed = Uint8Array.from(atob('[[code]]'), c => c.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
const [style, code] = (await new Response(stream).text()).split('\f');
document.head.append(Object.assign(document.createElement('style'), {textContent: style}));
const script = document.createElement('script');
script.textContent = `(() => {${code}\n})();//# sourceURL=explorer.js`;
document.body.append(script);
if (!document.body.dataset.ready) throw Error('the program did not start');
})().catch(error => {
const story = document.querySelector('noscript#story').textContent;
document.body.innerHTML = `<p role="alert">${error.message}</p>${story}`;
document.body.dataset.ready = 'failed';
});
