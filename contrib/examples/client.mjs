#!/usr/bin/env node
// A client of a talea ledger, with nothing but Node 18 or later.
//
//     TALEA_URL=http://127.0.0.1:8080 TALEA_TOKEN=... node client.mjs [EVENTS]
//
// It registers an asset, opens accounts, posts, reads, and follows the events of its book up to the one with the seq
// EVENTS (5). Every step may be repeated: a second run changes nothing. What is worth copying: call(), events(),
// and parse() and write(), without which amounts above 2^53 are rounded.
import { setTimeout as sleep } from 'node:timers/promises';

const BASE = (process.env.TALEA_URL || 'http://127.0.0.1:8080').replace(/\/+$/, '');
const TOKEN = process.env.TALEA_TOKEN;
const TIMEOUT_MS = 35_000; // the ledger answers 408 after 30 s
const SILENCE_MS = 45_000; // an idle stream carries a comment every 10 to 15 s: after 45 it is dead
const TRIES = 8;
const TRY_AGAIN = new Set([408, 429, 502, 503, 504]); // 502 and 504 are a proxy's that found no ledger

const BOOK = 'examples/node';

// The ledger's verdict, which another try would not change; its envelope says why.
class Refused extends Error {}

// Amounts are 64-bit integers, and JSON.parse makes doubles, exact up to 2^53 only. So integers of 16 digits or more
// become strings before it sees them; BigInt() takes both. Strings of the document are stepped over as they are.
function parse(text) {
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
  return JSON.parse(text.replace(token, (t) => (/^-?\d{16,}$/.test(t) ? `"${t}"` : t)));
}

// JSON.stringify refuses BigInt; this writes it as the integer that the ledger wants.
function write(value) {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(write)}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, v]) => `${JSON.stringify(name)}:${write(v)}`)}}`;
}

function send(method, path, body, signal, headers = {}) {
  if (TOKEN) headers.Authorization = `Bearer ${TOKEN}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  return fetch(BASE + path, { method, headers, signal, body: body === undefined ? body : write(body) });
}

// Doubles from 0.1 s to 5 s; random, so that clients that failed together do not return together.
function pauseMs(attempt, retryAfter) {
  const backoff = Math.min(5000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2);
  return /^\d+$/.test(retryAfter ?? '') ? Math.max(backoff, Math.min(60, Number(retryAfter)) * 1000) : backoff;
}

// fetch says "fetch failed", and its cause why.
const why = (error) => error.cause?.code ?? error.cause?.message ?? error.message;

// The answer. Whether a try without one has done something is not known; but all that is sent here may be sent twice:
// a post has its idempotency key, and an asset or account that is there already is no error.
async function call(method, path, body) {
  for (let attempt = 0; ; attempt++) {
    let response, text, reason;
    try {
      response = await send(method, path, body, AbortSignal.timeout(TIMEOUT_MS));
      text = await response.text();
      reason = response.status;
    } catch (error) {
      response = undefined;
      reason = why(error);
    }
    if (response?.ok) return text === '' ? null : parse(text);
    if (response && !TRY_AGAIN.has(response.status)) throw new Refused(`${method} ${path}: ${reason} ${text}`);
    if (attempt + 1 === TRIES) throw new Error(`${method} ${path}: ${reason}, ${TRIES} times`);
    const pause = pauseMs(attempt, response?.headers.get('retry-after'));
    say(`${method} ${path}: ${reason}; again in ${(pause / 1000).toFixed(1)} s`);
    await sleep(pause);
  }
}

// The lines of a response; each one restarts the clock that aborts a silent stream.
async function* lines(response, controller) {
  const timer = setTimeout(() => controller.abort(new Error(`silent for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
  try {
    let rest = '';
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      timer.refresh();
      const parts = (rest + text).split('\n');
      rest = parts.pop();
      for (const line of parts) yield line.replace(/\r$/, '');
    }
  } finally {
    clearTimeout(timer);
  }
}

// The events behind the seq `last`, without end, each once. A stream ends whenever a process of the ledger is
// replaced; the next one begins behind the last event that was whole.
async function* events(book, last) {
  const path = `/v1/books/${segment(book)}/events`;
  let retryMs = 0;
  for (let attempt = 0; ; attempt++) {
    const controller = new AbortController();
    let reason = 'the server ended it';
    let retryAfter;
    let data;
    try {
      const response = await send('GET', path, undefined, controller.signal, { 'Last-Event-ID': String(last) });
      if (!response.ok) {
        const text = await response.text();
        if (!TRY_AGAIN.has(response.status)) throw new Refused(`GET ${path}: ${response.status} ${text}`);
        reason = response.status;
        retryAfter = response.headers.get('retry-after');
      } else {
        for await (const line of lines(response, controller)) {
          if (line.startsWith('data: ')) data = line.slice(6); // the ledger sends one such line for each event
          else if (line.startsWith('retry: ')) retryMs = Number(line.slice(7));
          else if (line === '' && data) { // an empty line: the event is whole
            const event = parse(data);
            data = undefined;
            attempt = 0;
            last = event.seq;
            yield event;
          }
        }
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
      reason = why(error);
    } finally {
      controller.abort(); // also when the reader of the events leaves its loop
    }
    const pause = Math.max(retryMs, pauseMs(attempt, retryAfter));
    say(`stream: ${reason}; resuming behind event ${last} in ${(pause / 1000).toFixed(1)} s`);
    await sleep(pause);
  }
}

// A book or an account as a segment of a path: it may hold slashes, spaces, colons. fetch would resolve '.' and '..'
// in any spelling; who has such names sends them with node:http, which leaves paths alone.
function segment(name) {
  if (name === '.' || name === '..') throw new Error(`fetch cannot send the name ${name}`);
  return encodeURIComponent(name);
}

function say(line) {
  console.log(line);
}

// The key names what happened in your business (an order, a payment), so that a retry, also after a crash, has the
// same one. Never draw a random key for each try.
async function post(key, minor) {
  const posted = await call('POST', '/v1/transactions', {
    book: BOOK,
    idempotency_key: key,
    metadata: { order: key },
    postings: [
      { account: 'tills/1', direction: 'debit', amount: { minor, asset: 'EUR' } },
      { account: 'sales', direction: 'credit', amount: { minor, asset: 'EUR' } },
    ],
  });
  // True also when an earlier try of this call was committed and its answer was lost.
  say(`posted ${key}: seq ${posted.seq}, deduplicated ${posted.deduplicated}`);
}

async function readAccount(path) {
  const account = `/v1/books/${segment(BOOK)}/accounts/${segment(path)}`;
  const balance = await call('GET', `${account}/balance`);
  say(`balance of ${balance.account}: ${balance.balance} ${balance.asset}`); // a string, exact: keep it one
  for (let after = 0; after !== null; ) {
    const page = await call('GET', `${account}/history?limit=2&after_seq=${after}`);
    for (const { seq, direction, amount } of page.items) {
      say(`history: seq ${seq} ${direction} ${BigInt(amount.minor)} ${amount.asset}`);
    }
    after = page.next;
  }
}

function show({ seq, kind, payload }) {
  say(`event ${seq}: ${kind} ${kind === 'transaction_posted' ? payload.idempotency_key : payload.def.id.path}`);
}

// Twice, as a consumer that is restarted: it keeps the last seq beside what it made of the events, best in the same
// transaction of its own database.
async function follow(until) {
  let last = 0;
  for (const stop of [Math.min(2, until), until]) {
    if (last >= stop) continue;
    for await (const event of events(BOOK, last)) {
      show(event);
      last = event.seq;
      if (last >= stop) break;
    }
    say(`closed behind event ${last}`);
  }
}

async function main() {
  const until = Number(process.argv[2] ?? 5);
  const till = { book: BOOK, path: 'tills/1', asset: 'EUR', kind: 'asset', normal_side: 'debit', min_balance: 0 };
  const sales = { book: BOOK, path: 'sales', asset: 'EUR', kind: 'income', normal_side: 'credit' };
  await call('POST', '/v1/assets', { id: 'EUR', class: 'fiat', precision: 2, name: 'Euro' });
  await call('POST', '/v1/accounts', till);
  await call('POST', '/v1/accounts', sales);
  say('EUR is registered, tills/1 and sales are open');
  await post('order-1', 1250n); // minor units: 12.50 EUR
  await post('order-2', 399n);
  await post('order-3', 9007199254740993n); // 2^53 + 1
  await post('order-1', 1250n);
  await readAccount('tills/1');
  await follow(until);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Refused ? `refused: ${error.message}` : `no answer from ${BASE}: ${why(error)}`);
  process.exitCode = 1;
}
