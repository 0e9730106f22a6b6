// The status page of a real gateway in a real browser. See `page` beside this file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT);
const KEY = 'the-key-of-the-status-page';
const HOSTILE = '<img src=x onerror=alert(1)>';
const processes = [];
const state = mkdtempSync(join(tmpdir(), 'mudgateway-page-'));

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

function start(program, ...args) {
  const child = spawn(`target/debug/${program}`, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  processes.push(child);
}

async function until(what, condition) {
  const end = Date.now() + 20000;
  for (;;) {
    const met = await Promise.resolve().then(condition).catch(() => false);
    if (met) return met;
    if (Date.now() > end) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/// A client over TCP lines that says something on a channel and stays.
function client(port) {
  const socket = connect(port, '127.0.0.1');
  let id = 0;
  const call = (method, params) => socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params })}\n`);
  call('authenticate', { api_key: KEY });
  call('channel_join', { channel: 'imud_gossip' });
  call('channel_send', { channel: 'imud_gossip', message: `hello ${HOSTILE}`, from_user: 'ann' });
  socket.on('error', () => {});
  return socket;
}

async function main() {
  const [router, control, http, tcp, metrics] = await Promise.all(Array.from({ length: 5 }, freePort));
  start('i3-router', '--listen', `127.0.0.1:${router}`, '--control', `127.0.0.1:${control}`);
  start('mudgateway', '--mud-name', 'Dawn', '--router-name', '*test', '--router-host', '127.0.0.1', '--router-port', router,
    '--ws-host', '127.0.0.1', '--ws-port', http, '--tcp-port', tcp, '--metrics-port', metrics, '--secret', KEY,
    '--state-dir', state, '--status-page', 'true');
  const base = `http://127.0.0.1:${http}`;
  await until('the gateway is ready', async () => (await fetch(`${base}/health/ready`)).ok);
  const socket = client(tcp);
  const entry = '({-1,"192.0.2.9",4000,0,0,"<b>Lib</b>","Base","Driver","LP","\\"><script>alert(2)</script>","a@b",([]),0,})';
  const packet = `({"mudlist",5,"*test",0,"Dawn",0,7,(["${HOSTILE}":${entry},"Dusk":${entry.replace('<b>Lib</b>', 'Dead Souls')},]),})`;
  await fetch(`http://127.0.0.1:${control}/muds/Dawn/packet`, { method: 'POST', body: packet });

  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1100, height: 860 } });
    const complaints = [];
    page.on('dialog', (dialog) => { complaints.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => { if (/Content Security|Refused/.test(message.text())) complaints.push(message.text()); });
    const strangers = [];
    page.on('request', (request) => { if (!request.url().startsWith(base)) strangers.push(request.url()); });

    const answer = await page.goto(`${base}/status`);
    assert.match(answer.headers()['content-security-policy'], /^default-src 'none'; script-src 'self';/);
    assert.equal(await page.locator('#room').isVisible(), false, 'nothing is shown without a key');

    await page.fill('#key', 'wrong');
    await page.click('#enter');
    await page.waitForFunction(() => document.getElementById('problem').textContent.includes('Invalid API key'));
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, 'a wrong key is forgotten');

    await page.fill('#key', KEY);
    await page.press('#key', 'Enter');
    await page.waitForFunction((name) => document.getElementById('muds').textContent.includes(name), HOSTILE);
    await page.waitForFunction((name) => document.getElementById('channels').textContent.includes(`hello ${name}`), HOSTILE);
    assert.equal(await page.locator('#state').textContent(), 'on the network');
    assert.equal(await page.locator('#sessions tbody tr').count(), 1);
    assert.match(await page.locator('#muds').textContent(), /<script>alert\(2\)<\/script>/, 'shown as it is');
    assert.equal(await page.locator('table img, table script, table b').count(), 0, 'and no markup');
    await page.screenshot({ path: 'docs/status-page.png', fullPage: true });

    await page.fill('#filter', 'dusk');
    const visible = await page.locator('#muds tbody tr:visible').allTextContents();
    assert.ok(visible.length === 1 && visible[0].startsWith('Dusk'), String(visible));
    await page.fill('#filter', '');

    await fetch(`http://127.0.0.1:${control}/muds/Dawn/cut`, { method: 'POST' });
    await page.waitForFunction(() => document.getElementById('state').textContent === 'off the network');

    await page.click('#leave');
    assert.equal(await page.locator('#room').isVisible(), false);
    await page.setViewportSize({ width: 390, height: 700 });
    await page.screenshot({ path: join(state, 'door.png') });
    assert.deepEqual(complaints, []);
    assert.deepEqual(strangers, [], 'nothing is loaded from elsewhere');
    console.log('the status page: all as it should be');
  } finally {
    await browser.close();
    socket.destroy();
  }
}

try {
  await main();
} finally {
  for (const child of processes) child.kill();
  // The browser may still write as it ends.
  rmSync(state, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
