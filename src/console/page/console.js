// The console's page. Everything that comes from messages is set as text, never as HTML.
const meta = document.querySelector('meta[name="console-token"]');
const post = { [meta.dataset.header]: meta.content, 'content-type': 'application/json' };

const HISTORY = 600;
const EVENTS = 200;
const FIGURES = [
  ['lag', (group) => group.lag],
  [
    'queues held',
    (group) => `${group.queues.filter(({ holder }) => holder).length} of ${group.queues.length}`,
  ],
  ['polled', (group) => group.counts.PolledEventCount ?? 0],
  ['batches', (group) => group.counts.InvokedBatchCount ?? 0],
  ['failed deliveries', (group) => group.counts.FailedInvokeEventCount ?? 0],
  ['redelivered', (group) => group.counts.RetriedEventCount ?? 0],
  ['dead-lettered', (group) => group.deadLetters.stored],
];

const state = {
  history: [],
  sections: new Map(),
  shown: undefined,
  groups: new Map(),
  pausing: undefined,
};
const byId = (id) => document.getElementById(id);
const nameOf = ({ cluster, consumerGroup }) =>
  cluster === 'default' ? consumerGroup : `${cluster}/${consumerGroup}`;
const timeOf = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Changes a text only when it is another, so that screen readers are not told the same again. */
function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = String(text);
}

function sectionOf(group) {
  const name = nameOf(group);
  const known = state.sections.get(name);
  if (known) return known;
  const section = byId('group-template').content.firstElementChild.cloneNode(true);
  const title = section.querySelector('h2');
  title.textContent = name;
  title.id = `group-${state.sections.size}`;
  section.setAttribute('aria-labelledby', title.id);
  section.querySelector('.scroll').setAttribute('aria-label', `Queues of ${name}`);
  section.querySelector('.figures').append(
    ...FIGURES.map(([label]) => {
      const pair = element('div');
      pair.append(element('dt', label), element('dd'));
      return pair;
    }),
  );
  section.querySelector('.show-letters').addEventListener('click', () => void showLetters(group));
  section.querySelector('.pause').addEventListener('click', () => askPause(name));
  byId('groups').append(section);
  state.sections.set(name, section);
  return section;
}

function renderGroup(group) {
  const section = sectionOf(group);
  state.groups.set(nameOf(group), group);
  const { pause } = group;
  setText(
    section.querySelector('.pause'),
    pause
      ? `Resume ${nameOf(group)}, paused until ${timeOf(pause.until)}`
      : `Pause ${nameOf(group)}`,
  );
  const problem = section.querySelector('.problem');
  problem.hidden = !group.problem;
  setText(problem, group.problem ?? '');
  const values = section.querySelectorAll('.figures dd');
  for (const [index, [, figureOf]] of FIGURES.entries()) setText(values[index], figureOf(group));
  renderRows(section.querySelector('tbody'), group.queues);
  renderLag(section, nameOf(group));
  const { stored, waiting } = group.deadLetters;
  const button = section.querySelector('.show-letters');
  button.disabled = stored === '0';
  setText(
    button,
    stored === '0' ? 'No dead letters' : `Dead letters: ${stored} stored, ${waiting} not redriven`,
  );
}

function renderRows(body, queues) {
  while (body.rows.length > queues.length) body.deleteRow(-1);
  for (const [index, queue] of queues.entries()) {
    const row = body.rows[index] ?? newRow(body);
    const { topic, brokerName, queueId, pops, slot, holder, lag, committed, max } = queue;
    const place = `${topic}/${brokerName}/${pops ? `pop-${queueId}` : queueId}`;
    const [name, shown, slotCell, holderCell, lagCell, done] = row.cells;
    setText(name, place);
    setText(shown, queue.state);
    shown.dataset.state = queue.state;
    setText(slotCell, slot ?? '');
    setText(holderCell, holder ? holder.slice(0, 8) : '–');
    setText(lagCell, lag ?? '?');
    const [bar, label] = done.children;
    bar.max = Math.max(1, Number(max ?? 0));
    bar.value = max === '0' ? 1 : Number(committed ?? 0);
    bar.setAttribute('aria-label', `committed part of ${place}`);
    setText(label, max === undefined ? 'not known' : ` ${committed} of ${max}`);
  }
}

function newRow(body) {
  const row = body.insertRow();
  row.append(element('th', '', { scope: 'row' }));
  for (const kind of ['', 'number', '', 'number', ''])
    row.append(element('td', undefined, kind ? { class: kind } : {}));
  row.cells[5].append(element('progress'), element('span'));
  return row;
}

function renderLag(section, name) {
  const points = state.history.map(({ lag }) => lag[name] ?? 0);
  const most = Math.max(1, ...points);
  const width = 600 / Math.max(1, HISTORY - 1);
  const first = HISTORY - points.length;
  const line = points.map(
    (lag, index) =>
      `${((first + index) * width).toFixed(1)},${(78 - (lag / most) * 76).toFixed(1)}`,
  );
  section.querySelector('polyline').setAttribute('points', line.join(' '));
  const text = `Lag over the last ${Math.ceil(points.length / 60)} min: now ${points.at(-1) ?? 0}, at most ${most === 1 && !points.includes(1) ? 0 : most}`;
  section.querySelector('.lag').setAttribute('aria-label', text);
  setText(section.querySelector('figcaption'), text);
}

function renderChanges(changes) {
  const list = byId('events');
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
  for (const { at, consumerGroup, queue, text } of changes)
    list.append(element('li', `${timeOf(at)}  ${consumerGroup}  ${queue}  ${text}`));
  while (list.children.length > EVENTS) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return body;
}

async function showLetters(group) {
  state.shown = group;
  byId('letters-title').textContent = `Dead letters of ${nameOf(group)}`;
  byId('letters-list').replaceChildren();
  byId('letters-status').textContent = 'reading …';
  if (!byId('letters').open) byId('letters').showModal();
  await readLetters('');
}

async function readLetters(before) {
  const { cluster, consumerGroup } = state.shown;
  try {
    const { letters, more } = await call(
      `/api/dead-letters?${new URLSearchParams({ cluster, consumerGroup })}`,
    );
    byId('letters-list').replaceChildren(...letters.map(letterItem));
    byId('letters-status').textContent =
      `${before}${letters.length} shown${more ? ', there are more' : ''}`;
  } catch (error) {
    byId('letters-status').textContent = error.message;
  }
}

function letterItem(letter) {
  const item = element('li');
  const where = `${letter.brokerName}/${letter.queueId} offset ${letter.offset}`;
  if (letter.problem) {
    item.append(element('p', `${where}: ${letter.problem}`, { class: 'bad' }));
    return item;
  }
  const { messageId, originTopic, storeTimestamp, reconsumeTimes, tags, keys } = letter;
  const facts = [
    `from ${originTopic ?? 'an unknown topic'}`,
    `dead since ${new Date(storeTimestamp).toLocaleString()}`,
    `${reconsumeTimes} redeliveries`,
    tags && `tags ${tags}`,
    keys && `keys ${keys}`,
  ];
  const details = element('details');
  details.append(
    element('summary', 'Properties'),
    element('pre', JSON.stringify(letter.properties, undefined, 2)),
  );
  const redrive = element('button', 'Redrive this one', {
    type: 'button',
    'aria-label': `Redrive ${messageId}`,
  });
  redrive.addEventListener(
    'click',
    () =>
      void redriveLetters({
        brokerName: letter.brokerName,
        queueId: letter.queueId,
        offset: letter.offset,
      }),
  );
  item.append(
    element('strong', messageId),
    element('p', `${where}; ${facts.filter(Boolean).join(', ')}`),
    element('pre', letter.cut ? `${letter.body} …` : letter.body),
    details,
    redrive,
  );
  return item;
}

async function redriveLetters(one) {
  const { cluster, consumerGroup } = state.shown;
  byId('letters-status').textContent = 'redriving …';
  try {
    const body = JSON.stringify({ cluster, consumerGroup, ...one });
    const { redriven, skipped } = await call('/api/redrive', {
      method: 'POST',
      headers: post,
      body,
    });
    const passed = skipped
      .map(({ offset, reason }) => `; offset ${offset} was not sent: ${reason}`)
      .join('');
    await readLetters(`${redriven} sent back to where they came from${passed}. `);
  } catch (error) {
    byId('letters-status').textContent = error.message;
  }
}

/** Asks first: a pause stops what others may wait for. What is asked stays as it was when the dialog opened. */
function askPause(name) {
  const { cluster, consumerGroup, pause } = state.groups.get(name);
  state.pausing = { cluster, consumerGroup, path: pause ? '/api/resume' : '/api/pause' };
  byId('pause-title').textContent = `${pause ? 'Resume' : 'Pause'} ${name}?`;
  byId('pause-text').textContent = pause
    ? `Paused until ${timeOf(pause.until)}: ${pause.reason}. Its messages are delivered again at once.`
    : 'What is in flight is finished and committed. Then nothing is delivered, until the pause ends by itself or you resume.';
  byId('pause-length').hidden = Boolean(pause);
  byId('pause-yes').textContent = pause ? 'Resume' : 'Pause';
  byId('pause-status').textContent = '';
  byId('pause').showModal();
}

async function pauseOrResume() {
  const { path, cluster, consumerGroup } = state.pausing;
  const seconds = Number(byId('pause-seconds').value);
  byId('pause-yes').disabled = true;
  try {
    const body = JSON.stringify({
      cluster,
      consumerGroup,
      ...(path === '/api/pause' ? { seconds } : {}),
    });
    await call(path, { method: 'POST', headers: post, body });
    byId('pause').close();
  } catch (error) {
    byId('pause-status').textContent = error.message;
  } finally {
    byId('pause-yes').disabled = false;
  }
}

byId('pause-no').addEventListener('click', () => byId('pause').close());
byId('pause-yes').addEventListener('click', () => void pauseOrResume());
byId('redrive-all').addEventListener('click', () => void redriveLetters({}));

const events = new EventSource('/events');
events.addEventListener('open', () => {
  state.history = [];
  byId('events').replaceChildren();
  setText(byId('connection'), 'live');
});
events.addEventListener('error', () =>
  setText(byId('connection'), 'the service does not answer; trying again …'),
);
events.addEventListener('message', ({ data }) => {
  const { snapshot, changes, history } = JSON.parse(data);
  state.history = [...state.history, ...history].slice(-HISTORY);
  renderChanges(changes);
  for (const group of snapshot?.groups ?? []) renderGroup(group);
});
