// Asks the gateway every three seconds and shows what it says. All that is shown is set as text, never as markup:
// names of muds and what is said come from strangers.
'use strict';

const INTERVAL = 3000;
const KEY = 'mudgateway-key';
const at = (id) => document.getElementById(id);
let timer = 0;

function show(inside, problem) {
  at('door').hidden = inside;
  at('room').hidden = !inside;
  at('leave').hidden = !inside;
  at('problem').textContent = problem;
  if (!inside) at('state').textContent = '';
}

function cell(content) {
  const td = document.createElement('td');
  if (Array.isArray(content)) {
    for (const line of content) {
      const div = document.createElement('div');
      div.textContent = line;
      td.append(div);
    }
  } else {
    td.textContent = content;
    if (content === 'up' || content === 'down') td.className = content;
  }
  return td;
}

function fill(id, rows) {
  const body = at(id).tBodies[0];
  body.replaceChildren(...rows.map((row) => {
    const tr = document.createElement('tr');
    tr.append(...row.map(cell));
    return tr;
  }));
}

function facts(pairs) {
  at('facts').replaceChildren(...pairs.flatMap(([name, value]) => {
    const dt = document.createElement('dt');
    const dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = value;
    return [dt, dd];
  }));
}

function duration(seconds) {
  const part = (unit, size) => (seconds >= size ? `${Math.floor(seconds / size)} ${unit}` : '');
  return part('d', 86400) || part('h', 3600) || part('min', 60) || `${seconds} s`;
}

function time(text) {
  return new Date(text).toLocaleTimeString();
}

function sentence(said) {
  const text = said.kind === 'emote' ? said.text.replaceAll('$N', said.who) : `${said.who}: ${said.text}`;
  return `${time(said.at)} ${text}`;
}

function filter() {
  const wanted = at('filter').value.toLowerCase();
  for (const row of at('muds').tBodies[0].rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
}

function draw(data) {
  document.title = `${data.mud}: mudgateway status`;
  at('mud').textContent = data.mud;
  at('state').textContent = data.router.connected ? 'on the network' : 'off the network';
  at('state').className = data.router.connected ? 'up' : 'down';
  const up = data.muds.filter((mud) => mud.status === 'up').length;
  facts([
    ['Router', `${data.router.name ?? 'none yet'}: ${data.router.message}`],
    ['Since', data.router.since ? new Date(data.router.since).toLocaleString() : 'not connected'],
    ['Bus', data.bus],
    ['Waiting for the router', String(data.waiting)],
    ['MUDs', `${up} up of ${data.muds.length}`],
    ['Version', data.version],
  ]);
  fill('sessions', data.sessions.map((session) => [
    session.transport, session.from, duration(session.seconds), String(session.channels), `${session.waiting_bytes} B`,
  ]));
  fill('channels', data.channels.map((channel) => [channel.name, String(channel.clients), channel.said.map(sentence)]));
  fill('muds', data.muds.map((mud) => [mud.name, mud.status, mud.driver, mud.mudlib, mud.open, mud.address]));
  filter();
  show(true, '');
}

function leave(problem) {
  clearTimeout(timer);
  sessionStorage.removeItem(KEY);
  show(false, problem);
}

async function look() {
  clearTimeout(timer);
  const key = sessionStorage.getItem(KEY);
  if (!key) return;
  try {
    const answer = await fetch('/status/data', { headers: { 'X-API-Key': key }, cache: 'no-store' });
    const data = await answer.json();
    if (!answer.ok) return leave(data.error);
    draw(data);
  } catch {
    at('state').textContent = 'the gateway does not answer';
    at('state').className = 'down';
  }
  timer = setTimeout(look, INTERVAL);
}

function enter() {
  sessionStorage.setItem(KEY, at('key').value);
  at('key').value = '';
  look();
}

at('enter').addEventListener('click', enter);
at('key').addEventListener('keydown', (event) => { if (event.key === 'Enter') enter(); });
at('leave').addEventListener('click', () => leave(''));
at('filter').addEventListener('input', filter);
look();
